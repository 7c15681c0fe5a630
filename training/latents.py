"""Songs as latents: `python -m training.latents --vae FOLDER --out FILE` renders and encodes them once."""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor

from common.music import SAMPLE_RATE_HZ
from training import oobleck
from training.budget import Journal
from training.song import Song
from training.songs import TRAINING_SEEDS, composers, groups
from training.synth import Synth
from training.voices import TRACKS

LENGTHS_S = (10, 20, 30)
"""Every song is composed for its length and heard from its first beat to its end."""
STEMS_EVERY = 4
"""Every fourth group of songs is also known by one track of each alone, and by what is left without it."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Songs of one length."""

    seconds: int
    songs: list[Song]
    mixes: Tensor
    """`[songs, frames, channels]`, half precision."""
    marks: Tensor
    """`[songs, frames, marks]`, 0 or 1."""
    stems: Tensor
    """`[songs with stems, 2, frames, channels]`: one track, and all others."""
    stem_of: dict[int, tuple[int, str]]
    """Song to its place in `stems`, and its track's name in capitals."""


Library = list[Shelf]


@torch.no_grad()
def encoded(vae: AutoencoderOobleck, sound: Tensor) -> Tensor:
    """`[batch, 2, samples]` to `[batch, frames, channels]`, the posterior's mean."""
    with torch.autocast(sound.device.type, torch.bfloat16, enabled=sound.device.type == "cuda"):
        mean = vae.encoder(sound).chunk(2, dim=1)[0]
    latents: Tensor = mean.float().transpose(1, 2)
    return latents


def silence(vae: AutoencoderOobleck, device: torch.device) -> Tensor:
    """The latent frame of silence, away from its ends, `[channels]`."""
    return encoded(vae, torch.zeros(1, 2, 96_000, device=device))[0, 20:30].mean(0)


def at_once(device: torch.device) -> int:
    """Seconds of sound to render and encode together."""
    return 240 if device.type == "cuda" else 10


def warm_up(vae: AutoencoderOobleck, lengths: Sequence[int], device: torch.device) -> None:
    """Compile the encoder for groups of songs of these lengths."""
    oobleck.compile_encoder(vae)
    if device.type == "cuda":
        for length in lengths:
            silent = torch.zeros(at_once(device) // length, 2, length * SAMPLE_RATE_HZ, device=device)
            encoded(vae, silent)


@dataclass(slots=True)
class _Growing:
    songs: list[Song]
    mixes: list[Tensor]
    marks: list[Tensor]
    stems: list[Tensor]
    stem_of: dict[int, tuple[int, str]]


def fill(
    vae: AutoencoderOobleck, synth: Synth, first_seed: int, pool: Pool, arguments: argparse.Namespace
) -> Library:
    """As many songs as time allows, `arguments.songs` at most."""
    began = time.monotonic()
    growing = {length: _Growing([], [], [], [], {}) for length in arguments.lengths}
    count = 0

    def sizes() -> Iterator[tuple[int, float]]:
        while True:
            for length in arguments.lengths:
                yield max(1, at_once(synth.device) // length), float(length)

    for number, group in enumerate(groups(first_seed, sizes(), pool)):
        songs = [song for song, _ in group]
        shelf = growing[round(songs[0].duration_s)]
        with_stems = (number // len(arguments.lengths)) % STEMS_EVERY == 0
        _add(shelf, vae, synth, songs, with_stems)
        shelf.marks += [torch.from_numpy(one) for _, one in group]
        count += len(songs)
        enough = count >= arguments.songs or time.monotonic() - began > arguments.seconds
        if enough and number + 1 >= len(arguments.lengths):
            break
    return [_shelf(length, grown) for length, grown in growing.items()]


def _add(
    shelf: _Growing, vae: AutoencoderOobleck, synth: Synth, songs: list[Song], with_stems: bool
) -> None:
    with torch.no_grad():
        stems = synth.stems(songs)
    mix = stems.sum(1)
    sounds = [mix]
    if with_stems:
        for place, song in enumerate(songs):
            track = song.tracks[song.seed % len(song.tracks)]
            alone = stems[place, TRACKS.index(track)]
            shelf.stem_of[len(shelf.songs) + place] = (len(shelf.stem_of), track.upper())
            sounds.append(torch.stack([alone, mix[place] - alone]))
    latents = torch.cat([encoded(vae, some) for some in torch.cat(sounds).split(len(songs))]).half()
    shelf.mixes.append(latents[: len(songs)])
    shelf.stems.append(latents[len(songs) :].unflatten(0, (-1, 2)))
    shelf.songs += songs


def _shelf(seconds: int, grown: _Growing) -> Shelf:
    return Shelf(
        seconds,
        grown.songs,
        torch.cat(grown.mixes),
        torch.stack(grown.marks).to(grown.mixes[0].device),
        torch.cat(grown.stems),
        grown.stem_of,
    )


def load(path: Path, device: torch.device) -> tuple[Library, Tensor]:
    """The library, and the latent frame of silence."""
    stored = torch.load(path, weights_only=False, map_location=device)
    return [Shelf(**shelf) for shelf in stored["shelves"]], stored["silence"]


def save(library: Library, silent: Tensor, path: Path) -> None:
    fields = ("seconds", "songs", "mixes", "marks", "stems", "stem_of")
    shelves = [{name: getattr(shelf, name) for name in fields} for shelf in library]
    waiting = path.with_suffix(".part")
    torch.save({"shelves": shelves, "silence": silent}, waiting)
    waiting.rename(path)  # who waits for the file sees it whole


def main() -> None:
    arguments = _arguments()
    pool = composers(arguments.workers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    journal = Journal(arguments.out.with_suffix(".jsonl"))
    vae = oobleck.load(arguments.vae).to(device)
    silent = silence(vae, device)
    warm_up(vae, arguments.lengths, device)
    began = time.monotonic()
    library = fill(vae, Synth(device), TRAINING_SEEDS + arguments.seed * 100_000, pool, arguments)
    save(library, silent, arguments.out)
    journal.note(
        stage="data",
        songs=sum(len(shelf.songs) for shelf in library),
        stems=sum(len(shelf.stems) for shelf in library),
        seconds=time.monotonic() - began,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file of the library")
    parser.add_argument("--songs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="stop rendering after so long")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS_S), help="in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=8, help="processes that compose")
    return parser.parse_args()


if __name__ == "__main__":
    main()
