"""Broken audio files: mutations of small good ones, drawn from a seed."""

import io
import random
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import soundfile

SAMPLES = 4_000
FORMATS = (
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "MS_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("AU", "ULAW"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
)
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER_BYTES = 128

Mutation = Callable[[random.Random, bytearray], None]


@cache
def good_files() -> tuple[bytes, ...]:
    """One small file of each format."""
    files = []
    for number, (container, subtype) in enumerate(FORMATS):
        sound = np.random.default_rng(number).uniform(-0.5, 0.5, (SAMPLES, 1 + number % 2))
        buffer = io.BytesIO()
        soundfile.write(buffer, sound, 48_000 if subtype == "OPUS" else 44_100, subtype, format=container)
        files.append(buffer.getvalue())
    return tuple(files)


def broken_files(seed: int) -> Iterator[bytes]:
    """Never ends. Headers are broken more often than samples, as most is decided there."""
    draw, good = random.Random(seed), good_files()
    while True:
        file = bytearray(draw.choice(good))
        for _ in range(draw.randint(1, 6)):
            draw.choice(MUTATIONS)(draw, file)
        yield bytes(file)


def _place(draw: random.Random, file: bytearray) -> int:
    end = min(len(file), HEADER_BYTES) if draw.random() < 0.7 else len(file)
    return draw.randrange(max(1, end))


def _flip(draw: random.Random, file: bytearray) -> None:
    if file:
        file[_place(draw, file)] ^= 1 << draw.randrange(8)


def _overwrite(draw: random.Random, file: bytearray) -> None:
    at = _place(draw, file)
    value = draw.choice((*EXTREMES, draw.getrandbits(32)))
    width = draw.choice((1, 2, 4))
    order = draw.choice(("little", "big"))
    file[at : at + width] = (value & (256**width - 1)).to_bytes(width, order)


def _cut(draw: random.Random, file: bytearray) -> None:
    del file[_place(draw, file) + 1 :]


def _drop(draw: random.Random, file: bytearray) -> None:
    at = _place(draw, file)
    del file[at : at + draw.randint(1, 64)]


def _insert(draw: random.Random, file: bytearray) -> None:
    at = _place(draw, file)
    file[at:at] = draw.randbytes(draw.randint(1, 64))


def _repeat(draw: random.Random, file: bytearray) -> None:
    at = _place(draw, file)
    piece = file[at : at + draw.randint(1, 256)]
    file[at:at] = piece * draw.randint(1, 4)


MUTATIONS: tuple[Mutation, ...] = (_flip, _overwrite, _overwrite, _cut, _drop, _insert, _repeat)
