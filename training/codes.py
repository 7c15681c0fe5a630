"""Many songs as codes, for the language model:
`python -m training.codes --vae FOLDER --family FILE --out FILE`."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from training import latents, oobleck
from training.budget import Journal, wait_for
from training.coder import coded, new_family
from training.latents import LENGTHS_S, encoded
from training.songs import TRAINING_SEEDS, composers, groups
from training.synth import Synth

SHORT = (10, 10, 10)
"""More groups of short songs: a language model needs many songs, and of sound they cost least."""


def main() -> None:
    arguments = _arguments()
    pool = composers(arguments.workers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    journal = Journal(arguments.out.with_suffix(".jsonl"))
    vae = oobleck.load(arguments.vae).to(device)
    latents.warm_up(vae, LENGTHS_S, device)
    family = new_family(arguments.out.parent / "config", device)
    synth, began = Synth(device), time.monotonic()

    def sizes() -> Iterator[tuple[int, float]]:
        while True:
            for length in (*SHORT, *LENGTHS_S):
                yield max(1, latents.at_once(device) // length), float(length)

    seeds: list[int] = []
    songs: list[Tensor] = []
    first = TRAINING_SEEDS + arguments.seed * 100_000
    for group in groups(first, sizes(), pool):
        with torch.no_grad():
            mixes = synth.stems([song for song, _ in group]).sum(1)
        songs.append(encoded(vae, mixes).half())
        seeds += [song.seed for song, _ in group]
        if len(seeds) >= arguments.songs or time.monotonic() - began > arguments.seconds:
            break
    wait_for(arguments.family)
    family.load_state_dict(torch.load(arguments.family, map_location=device, weights_only=True)["family"])
    rows = [row for some in songs for row in coded(family, some)[0].tolist()]
    waiting = arguments.out.with_suffix(".part")
    torch.save({"seeds": seeds, "codes": rows}, waiting)
    waiting.rename(arguments.out)  # who waits for the file sees it whole
    journal.note(stage="codes", songs=len(seeds), seconds=time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--family", type=Path, required=True, help="file with the trained tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=40_000)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--workers", type=int, default=8, help="processes that compose")
    return parser.parse_args()


if __name__ == "__main__":
    main()
