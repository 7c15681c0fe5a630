"""Train the base DiT, or turbo from it:
`python -m training.dit base --library FILE --resume FILE --out FOLDER`.
"""

import argparse
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from common.music import LATENT_RATE_HZ
from training import export, latents
from training.budget import Budget, Journal, learning_rate, wait_for
from training.coder import coded, new_family
from training.latents import LENGTHS_S
from training.lessons import (
    LYRIC_TOKENS,
    REFERENCE_FRAMES,
    REFERENCES,
    TEXT_TOKENS,
    Batch,
    Lessons,
    batch,
    lessons,
)
from training.networks import Family
from training.sizes import LATENT_CHANNELS
from training.steps import Average, Loss, Stepper, advance, autocast
from training.tokenizers import for_text_encoder

STAGES = ("base", "turbo")
TOKENS = 40_000
"""Frames of a batch, over all its rows."""
NULL_SHARE = 0.1
"""How often conditions are left out, which guidance needs."""
GUIDANCE = 2.0
"""What turbo learns to do in one pass."""
CONTEXT_WIDTHS = (LATENT_CHANNELS, 2 * LATENT_CHANNELS)
"""Of what is made, and of its source with the mask of what is to be made."""


def draw_times(count: int, device: torch.device) -> Tensor:
    """Half evenly, half around the middle, where most is decided."""
    even = torch.rand(count, device=device)
    middle = torch.sigmoid(torch.randn(count, device=device) * 1.0 + 0.4)
    return torch.where(torch.rand(count, device=device) < 0.5, even, middle)


def flow_loss(family: Family) -> Loss:
    def loss(*inputs: Tensor) -> Tensor:
        target, context, timbres, text, lyrics, noise, times, unasked = inputs
        noisy = torch.lerp(target, noise, times[:, None, None])
        with autocast(target.device):
            sequence, real = family.conditions(text, lyrics, timbres)
            null = family.conditioner.null_condition_emb.expand_as(sequence)
            sequence = torch.where(unasked[:, None, None], null, sequence)
            made = family.velocity(noisy, times, (sequence, real), context)
        return (made - (noise - target)).square().mean()

    return loss


def distilling_loss(family: Family, teacher: Family) -> Loss:
    def loss(*inputs: Tensor) -> Tensor:
        target, context, timbres, text, lyrics, noise, times, _ = inputs
        noisy = torch.lerp(target, noise, times[:, None, None])
        with autocast(target.device):
            with torch.no_grad():
                sequence, real = teacher.conditions(text, lyrics, timbres)
                null = teacher.conditioner.null_condition_emb.expand_as(sequence)
                asked = teacher.velocity(noisy, times, (sequence, real), context)
                free = teacher.velocity(noisy, times, (null, real), context)
                wanted = asked + (GUIDANCE - 1) * (asked - free)
            made = family.velocity(noisy, times, family.conditions(text, lyrics, timbres), context)
        return (made - wanted).square().mean()

    return loss


def batches(all_lessons: list[Lessons], silent: Tensor, tokens: int) -> Iterator[Batch]:
    order = 0
    while True:
        some = all_lessons[order % len(all_lessons)]
        rows = max(1, tokens // some.shelf.mixes.shape[1])
        yield batch(some, torch.randint(len(some), (rows,), device=silent.device), silent)
        order += 1


def warm_up(stepper: Stepper, tokens: int, device: torch.device) -> None:
    """Compile and record a step for every length of song, while others still make what it learns from."""
    for length in LENGTHS_S:
        frames = length * LATENT_RATE_HZ
        rows = tokens // frames
        target, context = (torch.zeros(rows, frames, width, device=device) for width in CONTEXT_WIDTHS)
        timbres = torch.zeros(1 + REFERENCES, REFERENCE_FRAMES, LATENT_CHANNELS, device=device)
        text, lyrics = (
            torch.zeros(rows, count, dtype=torch.long, device=device)
            for count in (TEXT_TOKENS, LYRIC_TOKENS)
        )
        times = torch.full((rows,), 0.5, device=device)
        stepper(target, context, timbres, text, lyrics, target, times, times > 1)


def train_flow(
    family: Family,
    stepper: Stepper,
    source: Iterator[Batch],
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
) -> None:
    """Trains, and leaves the averaged weights in `family`."""
    stage = arguments.stage
    parameters = stepper.parameters
    device = family.silence.device
    average = Average(parameters, 0.9995 if stage == "base" else 0.998)
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.01, fused=device.type == "cuda"
    )
    seen, step = torch.zeros((), device=device), 0
    budget.begin()
    while (progress := budget.progress(step)) < 1:
        one = next(source)
        noise = torch.randn_like(one.target)
        times = draw_times(len(noise), device)
        unasked = torch.rand(len(noise), device=device) < NULL_SHARE
        value = stepper(one.target, one.context, one.timbres, one.text, one.lyrics, noise, times, unasked)
        advance(optimizer, parameters, learning_rate(arguments.rate, progress, step))
        average.follow(step)
        seen = value.clone() if step == 0 else torch.lerp(seen, value, 0.02)
        if step % arguments.every == 0:
            journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
        step += 1
    journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
    average.take()


def _trained(family: Family, stage: str) -> list[torch.nn.Parameter]:
    """Codes stay what the language model learns; turbo reads texts as base does, with the same encoder."""
    still = {id(p) for part in (family.tokenizer, family.detokenizer) for p in part.parameters()}
    still |= {id(family.conditioner.timbre_encoder.special_token)}
    if stage == "turbo":
        still |= {id(family.conditioner.null_condition_emb)} | {id(p) for p in family.text.parameters()}
    for parameter in family.parameters():
        parameter.requires_grad_(id(parameter) not in still)
    return [parameter for parameter in family.parameters() if parameter.requires_grad]


def main() -> None:
    arguments = _arguments()
    stage = arguments.stage
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(STAGES.index(stage))
    journal, budget = Journal(arguments.out / "dit.jsonl"), Budget(arguments.minutes, arguments.steps)
    tokenizer = for_text_encoder()
    # One trains, one teaches it, and one that is not compiled reads codes, in batches of any size.
    family = new_family(arguments.out / "config", device)
    teacher, reader = deepcopy(family), deepcopy(family)
    loss = flow_loss(family)
    if stage == "turbo":
        loss = distilling_loss(family, teacher.requires_grad_(False))
    graphs = arguments.graphs and device.type == "cuda"
    stepper = Stepper(loss, _trained(family, stage), graphs)
    if graphs:
        family.fuse()
        teacher.fuse()
        warm_up(stepper, arguments.tokens, device)
        journal.note(stage="warm", seconds=budget.elapsed_s)
    wait_for(arguments.library)
    library, silent = latents.load(arguments.library, device)
    wait_for(arguments.resume)
    stored = torch.load(arguments.resume, map_location=device, weights_only=True)["family"]
    for one in (family, teacher, reader):
        one.load_state_dict(stored)
    hints = [coded(reader, shelf.mixes)[1] for shelf in library]
    pool = lessons(library, hints, tokenizer, arguments.rounds, STAGES.index(stage))
    journal.note(stage="lessons", count=sum(map(len, pool)), seconds=budget.elapsed_s)
    train_flow(family, stepper, batches(pool, silent, arguments.tokens), budget, journal, arguments)
    export.dit(family, arguments.out / f"acestep-v15-{stage}", stage)
    if stage == "base":
        export.text_encoder(family, arguments.out / export.TEXT_ENCODER, tokenizer)
    waiting = arguments.out / f"{stage}.part"
    torch.save({"family": family.state_dict()}, waiting)
    waiting.rename(arguments.out / f"{stage}.pt")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, required=True, help="file of the family to go on with")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=int, help="so many steps, whatever the time")
    parser.add_argument("--rounds", type=int, default=6, help="lessons of each song")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
