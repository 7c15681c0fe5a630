"""Songs to sound, in torch: many notes at once, on a CPU or a GPU.

A note reads two single-cycle tables, bright and dark, and fades from one to the other, which is what a
closing filter does to it. Drums are one-shots, made once. Everything after the notes is linear, so that
stems add up to the mix.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.music import SAMPLE_RATE_HZ
from training.drumkits import HIT_SAMPLES, kits
from training.song import Part, Song
from training.voices import TRACKS, VOICES, Voice

TABLE = 2048
HIGHEST_HZ = 15_000.0
HARMONICS = (4, 8, 16, 32, 64, 128, 256)
"""Tables hold so many harmonics; a note takes the richest that stays below `HIGHEST_HZ`."""

BUCKETS_S = (0.15, 0.3, 0.6, 1.2, 2.4, 5.0, 12.0)
"""Notes are made in groups of similar length, tail included."""

BLOCK = 24_000_000
"""Samples made at a time, which bounds the memory."""

LOUDNESS = 0.13
"""Root mean square of a mix, where its peak allows."""

PEAK = 0.89


@dataclass(frozen=True, slots=True)
class NoteBatch:
    """Notes of many parts, one row each: columns are tensors `[notes]` on the device."""

    row: Tensor
    """Of the buffer that the note is added to: two for each part, left and right."""
    start: Tensor
    """In samples."""
    length_s: Tensor
    frequency: Tensor
    strength: Tensor
    voice: Tensor
    """Number of the voice."""


class Synth:
    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._voices = list(VOICES.values())
        self._numbers = {voice.name: number for number, voice in enumerate(self._voices)}
        self._tables = _tables(self._voices).to(self.device)
        self._settings = {
            name: torch.tensor([getattr(voice, name) for voice in self._voices], device=self.device)
            for name in (
                "attack_s",
                "decay_s",
                "sustain",
                "release_s",
                "fading_s",
                "vibrato",
                "breath",
                "gain",
            )
        }
        self._kits = kits(self.device)
        self._hall = _hall().to(self.device)
        self._noise = torch.randn(1 << 16, generator=torch.Generator().manual_seed(5)).to(self.device)

    def stems(self, songs: Sequence[Song]) -> Tensor:
        """`[songs, tracks, 2, samples]` of songs of one length; silent where a track has no part.

        A song's mix is the sum over its tracks.
        """
        samples = round(songs[0].duration_s * SAMPLE_RATE_HZ)
        parts = [(index, part) for index, song in enumerate(songs) for part in song.parts]
        dry = self._dry([part for _, part in parts], samples)
        wet = self._reverberated(dry, [part for _, part in parts])
        stems = torch.zeros(len(songs) * len(TRACKS), 2, samples, device=self.device)
        owner = [index * len(TRACKS) + TRACKS.index(part.track) for index, part in parts]
        stems.index_add_(0, torch.tensor(owner, device=self.device), wet)
        return _levelled(stems.view(len(songs), len(TRACKS), 2, samples))

    def mix(self, song: Song) -> Tensor:
        """`[2, samples]` on the device."""
        return self.stems([song])[0].sum(0)

    def _dry(self, parts: Sequence[Part], samples: int) -> Tensor:
        """`[parts, 2, samples]`, panned and levelled."""
        sound = torch.zeros(len(parts) * 2, samples, device=self.device)
        pitched = [(number, part) for number, part in enumerate(parts) if part.kit is None]
        if pitched:
            self._play_notes(sound, self._notes(pitched))
        for number, part in enumerate(parts):
            if part.kit is not None:
                self._play_hits(sound[2 * number : 2 * number + 2], part)
            elif not VOICES[part.instrument].detune:  # made once, for both sides
                sound[2 * number + 1] = sound[2 * number]
        gains = [
            part.level * math.cos(math.pi / 4 * (1 + side * part.pan)) for part in parts for side in (1, -1)
        ]
        return (sound * torch.tensor(gains, device=self.device)[:, None]).view(len(parts), 2, samples)

    def _notes(self, pitched: Sequence[tuple[int, Part]]) -> NoteBatch:
        columns: list[np.ndarray] = []
        for number, part in pitched:
            voice = VOICES[part.instrument]
            start, length, pitch, strength = part.notes.T.astype(np.float64)
            for side, shift in ((0, -0.5), (1, 0.5)) if voice.detune else ((0, 0.0),):
                frequency = 440 * 2 ** ((pitch - 69 + shift * voice.detune) / 12)
                rows = np.full(len(start), 2 * number + side)
                kinds = np.full(len(start), self._numbers[part.instrument])
                columns.append(np.stack([rows, start, length, frequency, strength, kinds]))
        row, start, length, frequency, strength, kind = torch.tensor(np.concatenate(columns, 1)).unbind(0)
        return NoteBatch(
            row=row.long().to(self.device),
            start=(start * SAMPLE_RATE_HZ).round().long().to(self.device),
            length_s=length.float().to(self.device),
            frequency=frequency.float().to(self.device),
            strength=strength.float().to(self.device),
            voice=kind.long().to(self.device),
        )

    def _play_notes(self, sound: Tensor, notes: NoteBatch) -> None:
        total_s = notes.length_s + 2 * self._settings["release_s"][notes.voice]
        shortest = 0.0
        for longest in BUCKETS_S:
            chosen = ((total_s > shortest) & (total_s <= longest)).nonzero()[:, 0]
            if longest == BUCKETS_S[-1]:
                chosen = (total_s > shortest).nonzero()[:, 0]
            samples = round(longest * SAMPLE_RATE_HZ)
            for block in chosen.split(max(1, BLOCK // samples)):
                self._play_block(sound, notes, block, samples)
            shortest = longest

    def _play_block(self, sound: Tensor, notes: NoteBatch, block: Tensor, samples: int) -> None:
        wave = self._wave(notes, block, samples)
        place = notes.start[block, None] + torch.arange(samples, device=self.device)
        wave = torch.where(place < sound.shape[1], wave, 0.0)
        place = place.clamp(max=sound.shape[1] - 1) + notes.row[block, None] * sound.shape[1]
        sound.view(-1).index_add_(0, place.view(-1), wave.view(-1))

    def _wave(self, notes: NoteBatch, block: Tensor, samples: int) -> Tensor:
        """`[block, samples]`."""
        kind = notes.voice[block]
        setting = {name: values[kind, None] for name, values in self._settings.items()}
        length, frequency = notes.length_s[block, None], notes.frequency[block, None]
        t = torch.arange(samples, device=self.device)[None] / SAMPLE_RATE_HZ
        sway = 0.05776 * setting["vibrato"] * (t - 0.33).clamp(0, 0.3) / 0.3
        cycles = frequency * (t + sway * torch.sin(34.5 * t) / 34.5)
        rich = (HIGHEST_HZ / frequency).clamp(4, 256).log2().floor().long() - 2
        table = (kind[:, None] * len(HARMONICS) + rich) * 2 * TABLE
        at = (cycles % 1) * TABLE
        whole = at.long().clamp(max=TABLE - 1)
        share, after = at - whole, (whole + 1) % TABLE
        bright = torch.lerp(self._tables[table + whole], self._tables[table + after], share)
        table = table + TABLE
        dark = torch.lerp(self._tables[table + whole], self._tables[table + after], share)
        wave = torch.lerp(dark, bright, torch.exp(-t / setting["fading_s"]))
        hiss = self._noise[torch.arange(samples, device=self.device) % len(self._noise)]
        wave = wave + setting["breath"] * hiss
        held = setting["sustain"] + (1 - setting["sustain"]) * torch.exp(-t / setting["decay_s"])
        envelope = held * (t / setting["attack_s"]).clamp(max=1)
        envelope = envelope * torch.exp(-(t - length).clamp(min=0) * 3 / setting["release_s"])
        ending = ((length + 2 * setting["release_s"] - t) / 0.005).clamp(0, 1)
        return wave * envelope * ending * (notes.strength[block, None] * setting["gain"])

    def _play_hits(self, sound: Tensor, part: Part) -> None:
        notes = torch.from_numpy(part.notes).to(self.device)
        assert part.kit is not None
        shots = self._kits[part.kit, notes[:, 2].long()] * notes[:, 3, None, None]  # [hits, 2, samples]
        place = (notes[:, 0] * SAMPLE_RATE_HZ).round().long()[:, None] + torch.arange(
            HIT_SAMPLES, device=self.device
        )
        shots = torch.where((place < sound.shape[1])[:, None], shots, 0.0)
        place = place.clamp(max=sound.shape[1] - 1).view(-1)
        for side in (0, 1):
            sound[side].index_add_(0, place, shots[:, side].reshape(-1))

    def _reverberated(self, dry: Tensor, parts: Sequence[Part]) -> Tensor:
        samples = dry.shape[-1]
        size = 1 << (samples + self._hall.shape[-1] - 1).bit_length()
        hall = torch.fft.rfft(self._hall, size)
        wet = torch.empty_like(dry)
        for number, part in enumerate(parts):  # one at a time: spectra are large
            tail = torch.fft.irfft(torch.fft.rfft(dry[number], size) * hall, size)[:, :samples]
            wet[number] = dry[number] + part.reverb * tail
        return wet


def _levelled(stems: Tensor) -> Tensor:
    mix = stems.sum(1)
    loudness = mix.square().mean((1, 2)).sqrt().clamp(min=1e-6)
    peak = mix.abs().amax((1, 2)).clamp(min=1e-6)
    gain = torch.minimum(LOUDNESS / loudness, PEAK / peak)
    return stems * gain[:, None, None, None]


def _tables(voices: Sequence[Voice]) -> Tensor:
    """`[voices * richness * 2 * TABLE]`, flat, for each voice and richness bright and dark."""
    phase = np.arange(TABLE) / TABLE
    tables = []
    for number, voice in enumerate(voices):
        turns = np.random.default_rng(number).uniform(0, 1, HARMONICS[-1])  # lower peaks than all in phase
        for count in HARMONICS:
            k = np.arange(1, count + 1, dtype=np.float64)
            waves = np.sin(2 * np.pi * (k[:, None] * phase + turns[:count, None] * (k[:, None] > 1)))
            for spectrum in (voice.bright, voice.dark):
                strengths = spectrum(k)
                tables.append(strengths @ waves / max(1e-9, np.sqrt(np.sum(strengths**2))))
    return torch.from_numpy(np.concatenate(tables)).float()


def _hall() -> Tensor:
    """The impulse response of a room, `[2, samples]`: 0.9 s of dying noise, duller as it dies."""
    generator = torch.Generator().manual_seed(3)
    samples = int(0.9 * SAMPLE_RATE_HZ)
    t = torch.arange(samples) / SAMPLE_RATE_HZ
    noise = torch.randn(2, samples, generator=generator)
    dull = torch.nn.functional.avg_pool1d(noise[None], 9, 1, 4)[0] * 3
    late = (t / 0.3).clamp(max=1)
    tail = torch.lerp(noise, dull, late) * torch.exp(-t / 0.22) * (t > 0.012)
    return tail / tail.square().sum(1, keepdim=True).sqrt()
