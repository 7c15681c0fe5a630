"""Many songs as codes, for the language model:
`python -m training.codes --vae FOLDER --family FILE --out FILE`."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from training import oobleck
from training.budget import Journal
from training.coder import coded, new_family
from training.latents import LENGTHS_S, encoded
from training.songs import TRAINING_SEEDS, composers, groups
from training.synth import Synth


def main() -> None:
    arguments = _arguments()
    pool = composers(arguments.workers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    journal, began = Journal(arguments.out.with_suffix(".jsonl")), time.monotonic()
    vae = oobleck.load(arguments.vae).to(device)
    oobleck.compile_encoder(vae)
    family = new_family(arguments.out.parent / "config", device)
    family.load_state_dict(torch.load(arguments.family, map_location=device, weights_only=True)["family"])
    synth = Synth(device)
    at_once = 240 if device.type == "cuda" else 10

    def sizes() -> Iterator[tuple[int, float]]:
        while True:
            for length in LENGTHS_S:
                yield max(1, at_once // length), float(length)

    seeds: list[int] = []
    rows: list[list[int]] = []
    first = TRAINING_SEEDS + arguments.seed * 100_000
    for group in groups(first, sizes(), pool):
        songs = [song for song, _ in group]
        with torch.no_grad():
            mixes = synth.stems(songs).sum(1)
        codes, _ = coded(family, encoded(vae, mixes))
        seeds += [song.seed for song in songs]
        rows += codes.tolist()
        if len(seeds) >= arguments.songs or time.monotonic() - began > arguments.seconds:
            break
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
