"""Songs as latents, in the memory of the device that trains."""

import time
from dataclasses import dataclass

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor

from common.music import LATENT_RATE_HZ
from training.compose import compose
from training.song import Song
from training.songs import TRAINING_SEEDS, rendered
from training.synth import Synth
from training.voices import TRACKS

SONG_S = 30.0
FRAMES = int(SONG_S) * LATENT_RATE_HZ
STEMS_EVERY = 3
"""Every third song is also known by one of its tracks alone, and by what is left without it."""


@dataclass(frozen=True, slots=True)
class Library:
    songs: list[Song]
    mixes: Tensor
    """`[songs, frames, channels]`."""
    stems: Tensor
    """`[songs with stems, 2, frames, channels]`: one track, and all others."""
    stem_of: dict[int, tuple[int, str]]
    """Song to its place in `stems`, and its track's name in capitals."""


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


def library(vae: AutoencoderOobleck, synth: Synth, first_seed: int, most: int, seconds: float) -> Library:
    """As many songs as time allows, `most` at most."""
    began = time.monotonic()
    songs: list[Song] = []
    mixes: list[Tensor] = []
    pairs: list[Tensor] = []
    stem_of: dict[int, tuple[int, str]] = {}
    at_once = 8 if synth.device.type == "cuda" else 1
    while len(songs) < most and time.monotonic() - began < seconds:
        group = [compose(first_seed + len(songs) + place, SONG_S) for place in range(at_once)]
        stems = next(rendered(synth, group, at_once))
        mix = stems.sum(1)
        sounds = [mix]
        for place, song in enumerate(group):
            number = len(songs) + place
            if number % STEMS_EVERY == 0 and len(song.tracks) > 1:
                track = song.tracks[song.seed % len(song.tracks)]
                alone = stems[place, TRACKS.index(track)]
                stem_of[number] = (len(stem_of), track.upper())
                sounds.append(torch.stack([alone, mix[place] - alone]))
        latents = encoded(vae, torch.cat(sounds))
        mixes.append(latents[: len(group)].half())
        pairs.append(latents[len(group) :].half())
        songs += group
    stacked = torch.cat(pairs).unflatten(0, (-1, 2)) if stem_of else torch.cat(mixes)[:0, None]
    return Library(songs, torch.cat(mixes), stacked, stem_of)


def training_library(
    vae: AutoencoderOobleck, synth: Synth, seed: int, most: int, seconds: float
) -> Library:
    return library(vae, synth, TRAINING_SEEDS + seed * 100_000, most, seconds)
