"""Train the audio tokenizer and detokenizer: `python -m training.coder --library FILE --out FILE`."""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training import latents, marks
from training.budget import Budget, Journal, learning_rate, wait_for
from training.latents import Library
from training.networks import Family, write_config
from training.sizes import LATENT_CHANNELS
from training.steps import Stepper, advance, autocast
from training.tokenizers import for_text_encoder

FRAMES = 250
LATENTS_WEIGHT = 0.15
"""A code has ten bits for a fifth of a second: rather chord and beat than the sound itself."""
RARE = 3.0
"""How much more a beginning counts than its absence."""


def new_family(folder: Path, device: torch.device) -> Family:
    write_config(folder, "base")
    return Family(folder, for_text_encoder().get_vocab_size()).to(device)


def losses(family: Family, head: nn.Module, frames: Tensor, marked: Tensor) -> dict[str, Tensor]:
    with autocast(frames.device):
        _, hint = family.codes(frames)
    hint = hint.float()
    weight = torch.ones(marks.COUNT, device=frames.device)
    weight[marks.PITCHES :] = RARE
    told = functional.binary_cross_entropy_with_logits(
        head(hint), marked, pos_weight=weight, reduction="none"
    )
    pitches, begun, beats = told.split([marks.PITCHES, marks.HEARD - marks.PITCHES, 2], dim=-1)
    return {
        "latents": (hint - frames).square().mean(),
        "pitches": pitches.mean(),
        "begun": begun.mean(),
        "beats": beats.mean(),
    }


WEIGHTS = {"latents": LATENTS_WEIGHT, "pitches": 2.0, "begun": 0.5, "beats": 2.0}


def train(
    family: Family, library: Library, budget: Budget, journal: Journal, arguments: argparse.Namespace
) -> None:
    device = library[0].mixes.device
    head = nn.Sequential(nn.Linear(LATENT_CHANNELS, 128), nn.SiLU(), nn.Linear(128, marks.COUNT)).to(device)
    parameters = [*family.tokenizer.parameters(), *family.detokenizer.parameters(), *head.parameters()]
    parameters = [parameter for parameter in parameters if parameter.requires_grad]

    def loss(frames: Tensor, marked: Tensor) -> Tensor:
        figures = losses(family, head, frames, marked)
        return torch.stack([WEIGHTS[name] * value for name, value in figures.items()]).sum()

    stepper = Stepper(loss, parameters, graphs=device.type == "cuda")
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.01, fused=device.type == "cuda"
    )
    step = 0
    budget.begin()
    while (progress := budget.progress(step)) < 1:
        shelf = library[step % len(library)]
        songs = torch.randint(len(shelf.mixes), (arguments.batch,), device=device)
        at = int(torch.randint((shelf.mixes.shape[1] - FRAMES) // 5 + 1, (1,))) * 5
        frames = shelf.mixes[songs, at : at + FRAMES].float()
        marked = shelf.marks[songs, at : at + FRAMES].float()
        stepper(frames, marked)
        advance(optimizer, parameters, learning_rate(arguments.rate, progress, step))
        if step % arguments.every == 0:
            with torch.no_grad():
                seen = {name: float(value) for name, value in losses(family, head, frames, marked).items()}
            journal.note(stage="codes", step=step, seconds=budget.elapsed_s, **seen)
        step += 1


@torch.no_grad()
def coded(family: Family, mixes: Tensor) -> tuple[Tensor, Tensor]:
    """Songs `[songs, frames, channels]` as codes `[songs, codes]`, and as hints, shaped like the songs."""
    pairs = [family.codes(part.float()) for part in mixes.split(64)]
    return torch.cat([codes for codes, _ in pairs]), torch.cat([hint.half() for _, hint in pairs])


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    journal = Journal(arguments.out.parent / "codes.jsonl")
    wait_for(arguments.library)
    budget = Budget(arguments.minutes, arguments.steps)
    library, silent = latents.load(arguments.library, device)
    family = new_family(arguments.out.parent / "config", device)
    family.silence.copy_(silent)
    train(family, library, budget, journal, arguments)
    codes = torch.cat([coded(family, shelf.mixes)[0].flatten() for shelf in library])
    journal.note(stage="codes", used=len(codes.unique()))
    waiting = arguments.out.with_suffix(".part")
    torch.save({"family": family.state_dict()}, waiting)
    waiting.rename(arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file of the family so far")
    parser.add_argument("--minutes", type=float, default=0.7)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=160)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main()
