"""Train tokenizer, base and turbo DiT: `python -m training.dit --vae FOLDER --out FOLDER`."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from training import export, oobleck
from training.budget import Budget, Journal, learning_rate
from training.latents import Library, silence, training_library
from training.lessons import Batch, Lessons, batch, lessons
from training.networks import Family, write_config
from training.steps import Average, Loss, Stepper, advance, autocast
from training.synth import Synth
from training.tokenizers import for_text_encoder

TOKENS = 40_000
"""Frames of a batch, over all its rows."""
NULL_SHARE = 0.12
"""How often conditions are left out, which guidance needs."""
GUIDANCE = 2.5
"""What turbo learns to do in one pass."""


def draw_times(count: int, device: torch.device) -> Tensor:
    """Half evenly, half around the middle, where most is decided."""
    even = torch.rand(count, device=device)
    middle = torch.sigmoid(torch.randn(count, device=device) * 1.0 + 0.2)
    return torch.where(torch.rand(count, device=device) < 0.5, even, middle)


def flow_loss(family: Family) -> Loss:
    def loss(*inputs: Tensor) -> Tensor:
        target, context, timbre, text, lyrics, noise, times, unasked = inputs
        noisy = torch.lerp(target, noise, times[:, None, None])
        with autocast(target.device):
            sequence, real = family.conditions(text, lyrics, timbre)
            null = family.conditioner.null_condition_emb.expand_as(sequence)
            sequence = torch.where(unasked[:, None, None], null, sequence)
            made = family.velocity(noisy, times, (sequence, real), context)
        return (made - (noise - target)).square().mean()

    return loss


def distilling_loss(family: Family, teacher: Family) -> Loss:
    def loss(*inputs: Tensor) -> Tensor:
        target, context, timbre, text, lyrics, noise, times, _ = inputs
        noisy = torch.lerp(target, noise, times[:, None, None])
        with autocast(target.device):
            with torch.no_grad():
                sequence, real = teacher.conditions(text, lyrics, timbre)
                null = teacher.conditioner.null_condition_emb.expand_as(sequence)
                asked = teacher.velocity(noisy, times, (sequence, real), context)
                free = teacher.velocity(noisy, times, (null, real), context)
                wanted = asked + (GUIDANCE - 1) * (asked - free)
            made = family.velocity(noisy, times, family.conditions(text, lyrics, timbre), context)
        return (made - wanted).square().mean()

    return loss


def batches(
    all_lessons: list[Lessons], library: Library, hints: Tensor, silent: Tensor, tokens: int
) -> Iterator[Batch]:
    order = 0
    while True:
        some = all_lessons[order % len(all_lessons)]
        chosen = torch.randint(len(some), (max(1, tokens // some.frames),), device=silent.device)
        yield batch(some, chosen, library, hints, silent)
        order += 1


def train_codes(family: Family, library: Library, budget: Budget, journal: Journal, every: int) -> None:
    """Tokenizer and detokenizer alone: latents through codes and back."""
    parameters = [*family.tokenizer.parameters(), *family.detokenizer.parameters()]
    device = library.mixes.device

    def loss(latents: Tensor) -> Tensor:
        with autocast(device):
            _, hint = family.codes(latents)
        return (hint.float() - latents).square().mean()

    stepper = Stepper(loss, parameters, graphs=False)
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.01, fused=device.type == "cuda"
    )
    step = 0
    while (progress := budget.progress(step)) < 1:
        songs = torch.randint(
            len(library.mixes), (max(2, TOKENS // 250 if every > 1 else 2),), device=device
        )
        at = int(torch.randint(library.mixes.shape[1] // 5 - 50, (1,))) * 5
        value = stepper(library.mixes[songs, at : at + 250].float())
        advance(optimizer, parameters, learning_rate(2e-3, progress, step))
        if step % every == 0:
            journal.note(stage="codes", step=step, seconds=budget.elapsed_s, loss=float(value))
        step += 1


@torch.no_grad()
def coded(family: Family, latents: Tensor) -> tuple[Tensor, Tensor]:
    """All songs as codes `[songs, codes]` and as hints `[songs, frames, channels]`."""
    pairs = [family.codes(part.float()) for part in latents.split(32)]
    return torch.cat([codes for codes, _ in pairs]), torch.cat([hint.half() for _, hint in pairs])


def train_flow(
    stage: str,
    family: Family,
    loss: Loss,
    source: Iterator[Batch],
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
) -> None:
    frozen = {id(p) for part in (family.tokenizer, family.detokenizer) for p in part.parameters()}
    unused = {id(family.conditioner.timbre_encoder.special_token)}
    if stage == "turbo":
        unused |= {id(family.conditioner.null_condition_emb)} | {id(p) for p in family.text.parameters()}
    parameters = [p for p in family.parameters() if id(p) not in frozen | unused]
    for parameter in family.parameters():
        parameter.requires_grad_(id(parameter) not in frozen | unused)
    device = family.silence.device
    stepper = Stepper(loss, parameters, graphs=arguments.graphs and device.type == "cuda")
    average = Average(parameters, 0.9995 if stage == "base" else 0.998)
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.01, fused=device.type == "cuda"
    )
    peak = arguments.rate if stage == "base" else arguments.rate / 4
    step, seen = 0, torch.zeros((), device=device)
    while (progress := budget.progress(step)) < 1:
        one = next(source)
        noise = torch.randn_like(one.target)
        times = draw_times(len(noise), device)
        unasked = torch.rand(len(noise), device=device) < NULL_SHARE
        value = stepper(one.target, one.context, one.timbre, one.text, one.lyrics, noise, times, unasked)
        advance(optimizer, parameters, learning_rate(peak, progress, step))
        average.follow(step)
        seen = value if step == 0 else torch.lerp(seen, value, 0.02)
        if step % arguments.every == 0:
            journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
        step += 1
    journal.note(stage=stage, step=step, seconds=budget.elapsed_s, loss=float(seen))
    average.take()


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(arguments.seed)
    journal = Journal(arguments.out / "dit.jsonl")
    clock = Budget(1)
    vae = oobleck.load(arguments.vae).to(device)
    library = training_library(vae, Synth(device), arguments.seed, arguments.songs, arguments.data_seconds)
    journal.note(stage="data", songs=len(library.songs), stems=len(library.stems), seconds=clock.elapsed_s)
    tokenizer = for_text_encoder()
    write_config(arguments.out / "config", "base")
    size = tokenizer.get_vocab_size()
    if arguments.resume:
        family = export.load_family(arguments.resume, "base", size).to(device)
    else:
        family = Family(arguments.out / "config", size).to(device)
        family.silence.copy_(silence(vae, device))
        train_codes(
            family, library, Budget(arguments.codes_minutes, arguments.steps), journal, arguments.every
        )
    codes, hints = coded(family, library.mixes)
    journal.note(
        stage="codes", used=len(codes.unique()), error=float((hints - library.mixes).float().var())
    )
    torch.save(
        {"codes": codes.short().cpu(), "seeds": [s.seed for s in library.songs]}, arguments.codes_out
    )
    pool = lessons(library, tokenizer, arguments.rounds, arguments.seed)
    journal.note(stage="lessons", count=sum(map(len, pool)), seconds=clock.elapsed_s)
    source = batches(pool, library, hints, family.silence, arguments.tokens)
    base = Budget(arguments.base_minutes, arguments.steps)
    train_flow("base", family, flow_loss(family), source, base, journal, arguments)
    export.dit(family, arguments.out / "acestep-v15-base", "base")
    export.text_encoder(family, arguments.out / export.TEXT_ENCODER, tokenizer)
    teacher = Family(arguments.out / "config", size).to(device).requires_grad_(False)
    teacher.load_state_dict(family.state_dict())
    turbo = Budget(arguments.turbo_minutes, arguments.steps)
    train_flow("turbo", family, distilling_loss(family, teacher), source, turbo, journal, arguments)
    export.dit(family, arguments.out / "acestep-v15-turbo", "turbo")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--codes-out", type=Path, required=True, help="file for the songs' codes")
    parser.add_argument("--resume", type=Path, help="models folder with a family to go on with")
    parser.add_argument("--songs", type=int, default=3000)
    parser.add_argument("--data-seconds", type=float, default=85.0)
    parser.add_argument("--codes-minutes", type=float, default=0.4)
    parser.add_argument("--base-minutes", type=float, default=3.3)
    parser.add_argument("--turbo-minutes", type=float, default=0.8)
    parser.add_argument("--steps", type=int, help="so many steps in each stage, whatever the time")
    parser.add_argument("--rounds", type=int, default=12, help="lessons of each song")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
