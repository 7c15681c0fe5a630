"""Drum sounds, each made once for every kit."""

import math

import torch
from torch import Tensor

from common.music import SAMPLE_RATE_HZ
from training.voices import DRUM_KITS, HITS

HIT_SAMPLES = int(0.8 * SAMPLE_RATE_HZ)

# What makes a kit: pitch of the drums, how long they ring, how bright their noise is.
KITS = {
    "acoustic drums": (1.0, 1.0, 0.8),
    "electronic drums": (0.85, 1.35, 1.0),
}


def kits(device: torch.device) -> Tensor:
    """`[kits, hits, samples]`."""
    made = [[_hit(hit, *KITS[kit]) for hit in HITS] for kit in DRUM_KITS]
    return torch.stack([torch.stack(hits) for hits in made]).to(device)


def _hit(name: str, pitch: float, ring: float, bright: float) -> Tensor:
    t = torch.arange(HIT_SAMPLES) / SAMPLE_RATE_HZ
    noise = torch.randn(HIT_SAMPLES, generator=torch.Generator().manual_seed(HITS.index(name)))
    if name == "kick":
        sweep = 50 * pitch * t + 6.5 * (1 - torch.exp(-t / 0.03)) * 1.1
        body = torch.sin(2 * math.pi * sweep) * _fall(t, 0.14 * ring)
        mono = 1.5 * body + 0.25 * bright * _band(noise, 2000, 9000) * _fall(t, 0.004)
    elif name in ("snare", "rim"):
        tone = torch.sin(2 * math.pi * 185 * pitch * t) + 0.6 * torch.sin(2 * math.pi * 331 * pitch * t)
        rattle = _band(noise, 1200, 4000 + 9000 * bright)
        if name == "rim":
            mono = 0.5 * torch.sin(2 * math.pi * 820 * t) * _fall(t, 0.015) + 0.4 * rattle * _fall(t, 0.02)
        else:
            mono = 0.5 * tone * _fall(t, 0.07) + 0.75 * rattle * _fall(t, 0.09 * ring)
    elif name == "clap":
        bursts = sum(_fall(t - at, 0.006) * (t >= at) for at in (0.0, 0.011, 0.022))
        mono = 0.8 * _band(noise, 900, 3500 + 5000 * bright) * (bursts + _fall(t, 0.07 * ring))
    elif name == "tom":
        sweep = 110 * pitch * t + 1.2 * (1 - torch.exp(-t / 0.05))
        mono = 1.1 * torch.sin(2 * math.pi * sweep) * _fall(t, 0.16)
    elif name in ("conga", "low conga"):
        base = 310.0 if name == "conga" else 205.0
        sweep = base * t + 1.0 * (1 - torch.exp(-t / 0.02))
        mono = torch.sin(2 * math.pi * sweep) * _fall(t, 0.08) + 0.2 * _band(noise, 800, 5000) * _fall(
            t, 0.006
        )
    else:
        low, high, fall, gain = {
            "hat": (6500, 9000 + 7000 * bright, 0.025, 0.45),
            "open hat": (6000, 9000 + 7000 * bright, 0.14 * ring, 0.4),
            "ride": (4500, 8000 + 6000 * bright, 0.22, 0.28),
            "crash": (3000, 8000 + 7000 * bright, 0.3, 0.5),
            "shaker": (5500, 11_000, 0.03, 0.5),
        }[name]
        mono = gain * _band(noise, low, high) * _fall(t, fall)
        if name == "shaker":
            mono = mono * (t / 0.02).clamp(max=1)
        if name == "ride":
            mono = mono + 0.08 * torch.sin(2 * math.pi * 3300 * t) * _fall(t, fall)
    mono = mono * ((HIT_SAMPLES / SAMPLE_RATE_HZ - t) / 0.05).clamp(0, 1)
    return 0.9 * mono


def _fall(t: Tensor, time_s: float) -> Tensor:
    return torch.exp(-t.clamp(min=0) / time_s)


def _band(noise: Tensor, low_hz: float, high_hz: float) -> Tensor:
    """Noise between two frequencies, with a root mean square of about a half."""
    spectrum = torch.fft.rfft(noise)
    hz = torch.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE_HZ)
    keep = torch.sigmoid((hz - low_hz) / (0.15 * low_hz)) * torch.sigmoid((high_hz - hz) / (0.1 * high_hz))
    banded = torch.fft.irfft(spectrum * keep, len(noise))
    levelled: Tensor = 0.5 * banded / banded.square().mean().sqrt()
    return levelled
