"""Train the base DiT, or turbo from it:
`python -m training.dit base --library FILE --resume FILE --out FOLDER`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from training import export, latents
from training.budget import Budget, Journal, learning_rate
from training.coder import coded, new_family
from training.lessons import Batch, Lessons, batch, lessons
from training.networks import Family
from training.steps import Average, Loss, Stepper, advance, autocast
from training.tokenizers import for_text_encoder

TOKENS = 40_000
"""Frames of a batch, over all its rows."""
NULL_SHARE = 0.1
"""How often conditions are left out, which guidance needs."""
GUIDANCE = 2.0
"""What turbo learns to do in one pass."""


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


def train_flow(
    family: Family,
    loss: Loss,
    source: Iterator[Batch],
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
    stored: dict[str, object],
) -> dict[str, object]:
    """Trains, and leaves the averaged weights in `family`; returns what a later run goes on from."""
    stage = arguments.stage
    parameters = _trained(family, stage)
    device = family.silence.device
    stepper = Stepper(loss, parameters, graphs=arguments.graphs and device.type == "cuda")
    average = Average(parameters, 0.9995 if stage == "base" else 0.998)
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.01, fused=device.type == "cuda"
    )
    step = 0
    if "optimizer" in stored:
        optimizer.load_state_dict(stored["optimizer"])  # type: ignore[arg-type]
        average.restore(stored["average"])  # type: ignore[arg-type]
        step = int(stored["step"])  # type: ignore[call-overload]
    began, since = step, arguments.part[0]
    seen = torch.zeros((), device=device)
    while (here := budget.progress(step - began)) < 1:
        progress = since + (arguments.part[1] - since) * here
        one = next(source)
        noise = torch.randn_like(one.target)
        times = draw_times(len(noise), device)
        unasked = torch.rand(len(noise), device=device) < NULL_SHARE
        value = stepper(one.target, one.context, one.timbres, one.text, one.lyrics, noise, times, unasked)
        advance(optimizer, parameters, learning_rate(arguments.rate, progress, step))
        average.follow(step)
        seen = value.clone() if step == began else torch.lerp(seen, value, 0.02)
        if step % arguments.every == 0:
            journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
        step += 1
    journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
    live = {name: tensor.clone() for name, tensor in family.state_dict().items()}
    average.take()
    return {"family": live, "optimizer": optimizer.state_dict(), "average": average.kept, "step": step}


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
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(arguments.part[0] * 1000)
    journal, budget = Journal(arguments.out / "dit.jsonl"), Budget(arguments.minutes, arguments.steps)
    library, silent = latents.load(arguments.library, device)
    tokenizer = for_text_encoder()
    family = new_family(arguments.out / "config", device)
    stored: dict[str, object] = {}
    if arguments.resume.is_dir():
        known = export.load_family(arguments.resume, "base", tokenizer.get_vocab_size())
        family.load_state_dict(known.state_dict())
    else:
        stored = torch.load(arguments.resume, map_location=device, weights_only=True)
        family.load_state_dict(stored["family"])
    hints = [coded(family, shelf.mixes)[1] for shelf in library]
    pool = lessons(library, hints, tokenizer, arguments.rounds, round(arguments.part[0] * 1000))
    journal.note(stage="lessons", count=sum(map(len, pool)), seconds=budget.elapsed_s)
    source = batches(pool, silent, arguments.tokens)
    loss = flow_loss(family)
    if arguments.stage == "turbo":
        teacher = new_family(arguments.out / "config", device).requires_grad_(False)
        teacher.load_state_dict(family.state_dict())
        loss = distilling_loss(family, teacher)
        if device.type == "cuda":
            teacher.fuse()
    if device.type == "cuda":
        family.fuse()
    kept = train_flow(family, loss, source, budget, journal, arguments, stored)
    export.dit(family, arguments.out / f"acestep-v15-{arguments.stage}", arguments.stage)
    if arguments.stage == "base":
        export.text_encoder(family, arguments.out / export.TEXT_ENCODER, tokenizer)
        torch.save({"family": family.state_dict()}, arguments.out / "averaged.pt")
    torch.save(kept, arguments.out / f"{arguments.stage}.pt")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["base", "turbo"])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--resume",
        type=Path,
        required=True,
        help="the family to go on with: a stage's file, or a folder with base and text encoder",
    )
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=int, help="so many steps, whatever the time")
    parser.add_argument(
        "--part", type=float, nargs=2, default=(0.0, 1.0), help="of the whole training, from and to"
    )
    parser.add_argument("--rounds", type=int, default=6, help="lessons of each song")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
