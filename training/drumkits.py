"""Drum sounds: what is struck at the onset, and what rings in time with the codec's frames."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from common.music import LATENT_RATE_HZ, SAMPLE_RATE_HZ
from training.voices import DRUM_KITS, HITS

FRAME = SAMPLE_RATE_HZ // LATENT_RATE_HZ
HIT_SAMPLES = int(0.8 * SAMPLE_RATE_HZ)

# What makes a kit: pitch of the drums, how long they ring, how bright their noise is.
KITS = {
    "acoustic drums": (1.0, 1.0, 0.8),
    "electronic drums": (0.85, 1.35, 1.0),
}


@dataclass(frozen=True, slots=True)
class Kits:
    """`[kits, hits, samples]` each: a hit is `struck`, and `ringing` under an `envelope`, and what rings is
    longer by a frame, so that it can be entered anywhere.

    What rings is one latent frame long and goes round and round from the song's first sample on, whenever
    it is struck: noise that is the same in every frame is noise that a small codec can learn.
    """

    struck: Tensor
    envelope: Tensor
    ringing: Tensor


def kits(device: torch.device) -> Kits:
    made = [[_hit(hit, *KITS[kit]) for hit in HITS] for kit in DRUM_KITS]
    columns = (
        torch.stack([torch.stack([hit[place] for hit in hits]) for hits in made]) for place in range(3)
    )
    return Kits(*(column.to(device) for column in columns))


def _hit(name: str, pitch: float, ring: float, bright: float) -> tuple[Tensor, Tensor, Tensor]:
    t = torch.arange(HIT_SAMPLES) / SAMPLE_RATE_HZ
    noise = torch.randn(FRAME, generator=torch.Generator().manual_seed(HITS.index(name)))
    struck, envelope = torch.zeros_like(t), torch.zeros_like(t)
    if name == "kick":
        sweep = 50 * pitch * t + 6.5 * (1 - torch.exp(-t / 0.03)) * 1.1
        struck = 1.5 * torch.sin(2 * math.pi * sweep) * _fall(t, 0.14 * ring)
        ringing, envelope = _band(noise, 2000, 9000), 0.25 * bright * _fall(t, 0.004)
    elif name == "snare":
        tone = _tone(175) + 0.6 * _tone(325)
        ringing = 0.5 * tone + 0.75 * _band(noise, 1200, 4000 + 9000 * bright)
        envelope = _fall(t, 0.085 * ring)
    elif name == "rim":
        ringing, envelope = (
            0.5 * _tone(825) + 0.4 * _band(noise, 1200, 4000 + 9000 * bright),
            _fall(t, 0.018),
        )
    elif name == "clap":
        ringing = 0.8 * _band(noise, 900, 3500 + 5000 * bright)
        bursts = (_fall(t - at, 0.006) * (t >= at) for at in (0.0, 0.011, 0.022))
        envelope = sum(bursts, _fall(t, 0.07 * ring))
    elif name in ("tom", "conga", "low conga"):
        base, bend, bend_s, fall_s = {
            "tom": (110 * pitch, 1.2, 0.05, 0.16),
            "conga": (310.0, 1.0, 0.02, 0.08),
            "low conga": (205.0, 1.0, 0.02, 0.08),
        }[name]
        sweep = base * t + bend * (1 - torch.exp(-t / bend_s))
        struck = 1.1 * torch.sin(2 * math.pi * sweep) * _fall(t, fall_s)
        ringing, envelope = _band(noise, 800, 5000), 0.2 * _fall(t, 0.006)
    else:
        low, high, fall, gain = {
            "hat": (6500, 9000 + 5000 * bright, 0.025, 0.45),
            "open hat": (6000, 9000 + 5000 * bright, 0.14 * ring, 0.4),
            "ride": (4500, 8000 + 4000 * bright, 0.22, 0.28),
            "crash": (3000, 8000 + 5000 * bright, 0.3, 0.5),
            "shaker": (5500, 11_000, 0.03, 0.5),
        }[name]
        ringing, envelope = gain * _band(noise, low, high), _fall(t, fall)
        if name == "shaker":
            envelope = envelope * (t / 0.02).clamp(max=1)
        if name == "ride":
            ringing = ringing + 0.08 * _tone(3300)
    ending = 0.9 * ((HIT_SAMPLES / SAMPLE_RATE_HZ - t) / 0.05).clamp(0, 1)
    return struck * ending, envelope * ending, ringing.repeat(HIT_SAMPLES // FRAME + 1)


def _fall(t: Tensor, time_s: float) -> Tensor:
    return torch.exp(-t.clamp(min=0) / time_s)


def _tone(hz: int) -> Tensor:
    """A frame of a sine that fits into it: `hz` is a multiple of the latent rate."""
    return torch.sin(2 * math.pi * hz * torch.arange(FRAME) / SAMPLE_RATE_HZ)


def _band(noise: Tensor, low_hz: float, high_hz: float) -> Tensor:
    """Noise between two frequencies, with a root mean square of a half; it has no seam when repeated."""
    spectrum = torch.fft.rfft(noise)
    hz = torch.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE_HZ)
    keep = torch.sigmoid((hz - low_hz) / (0.15 * low_hz)) * torch.sigmoid((high_hz - hz) / (0.1 * high_hz))
    banded = torch.fft.irfft(spectrum * keep, len(noise))
    levelled: Tensor = 0.5 * banded / banded.square().mean().sqrt()
    return levelled
