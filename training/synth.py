"""Songs to sound, in torch: many notes at once, on a CPU or a GPU.

A note reads two single-cycle tables, bright and dark, and fades from one to the other, which is what a
closing filter does to it. Nothing is random and nothing reverberates. Everything after the notes is linear,
so that stems add up to the mix.

Sounds fit into the codec's frames, so that a small codec can learn them: every tone is tuned to go round
whole times in `TUNING_FRAMES`, and its phase is counted from the song's first sample, not from its own.
What sounds in a frame is then told by its notes and by its place among those frames; no phase is free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.music import SAMPLE_RATE_HZ
from training.drumkits import FRAME, HIT_SAMPLES, kits
from training.song import Part, Song
from training.voices import TRACKS, VOICES, Voice

HIGHEST_HZ = 7_000.0
HARMONICS = (4, 8, 16, 32, 64, 128, 256)
"""Tables hold so many harmonics; a note takes the richest that stays below `HIGHEST_HZ`."""

BUCKETS_S = (0.15, 0.3, 0.6, 1.2, 2.4, 5.0, 12.0)
"""Notes are made in groups of similar length, tail included."""

BLOCK = 24_000_000
"""Samples made at a time, which bounds the memory."""

TUNING_FRAMES, HIGH_TUNING_FRAMES = 8, 4
"""Latent frames after which a tone repeats: below middle C, and from there on, where fewer are fine enough.
Against equal temperament this is 10 cents off in the mean, and 24 for the worst note of a bass."""
MIDDLE_C = 60
TABLE = TUNING_FRAMES * FRAME
"""Samples of a cycle: a tone that turns n times in `TUNING_FRAMES` reads every n-th."""
TREMOLO = HIGH_TUNING_FRAMES * FRAME

LOUDNESS = 0.13
"""Root mean square of a mix, where its peak allows."""

PEAK = 0.89


@dataclass(frozen=True, slots=True)
class NoteBatch:
    """Notes of many parts, one row each: columns are tensors `[notes]` on the device."""

    row: Tensor
    """Of the buffer that the note is added to: one for each part."""
    start: Tensor
    """In samples."""
    length_s: Tensor
    turns: Tensor
    """Of the tone within `TUNING_FRAMES`, whole."""
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
                "tremolo",
                "gain",
            )
        }
        self._kits = kits(self.device)

    def stems(self, songs: Sequence[Song]) -> Tensor:
        """`[songs, tracks, 2, samples]` of songs of one length; silent where a track has no part.

        A song's mix is the sum over its tracks.
        """
        samples = round(songs[0].duration_s * SAMPLE_RATE_HZ)
        owned = [(index, part) for index, song in enumerate(songs) for part in song.parts]
        parts = [part for _, part in owned]
        sound = torch.zeros(len(parts), samples, device=self.device)
        pitched = [(number, part) for number, part in enumerate(parts) if part.kit is None]
        if pitched:
            self._play_notes(sound, self._notes(pitched))
        struck = [(number, part) for number, part in enumerate(parts) if part.kit is not None]
        if struck:
            self._play_hits(sound, struck)
        stems = torch.zeros(len(songs) * len(TRACKS), 2, samples, device=self.device)
        owner = torch.tensor([index * len(TRACKS) + TRACKS.index(part.track) for index, part in owned])
        gains = torch.tensor(
            [
                [part.level * math.cos(math.pi / 4 * (1 + side * part.pan)) for side in (1, -1)]
                for part in parts
            ],
            device=self.device,
        )
        stems.index_add_(0, owner.to(self.device), gains[:, :, None] * sound[:, None])
        return _levelled(stems.view(len(songs), len(TRACKS), 2, samples))

    def mix(self, song: Song) -> Tensor:
        """`[2, samples]` on the device."""
        return self.stems([song])[0].sum(0)

    def _notes(self, pitched: Sequence[tuple[int, Part]]) -> NoteBatch:
        columns: list[np.ndarray] = []
        for number, part in pitched:
            start, length, pitch, strength = part.notes.T.astype(np.float64)
            rows = np.full(len(start), number)
            kinds = np.full(len(start), self._numbers[part.instrument])
            columns.append(np.stack([rows, start, length, tuned_turns(pitch), strength, kinds]))
        row, start, length, turns, strength, kind = torch.tensor(np.concatenate(columns, 1)).to(self.device)
        return NoteBatch(
            row=row.long(),
            start=(start * SAMPLE_RATE_HZ).round().long(),
            length_s=length.float(),
            turns=turns.long(),
            strength=strength.float(),
            voice=kind.long(),
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
        length, turns = notes.length_s[block, None], notes.turns[block, None]
        count = torch.arange(samples, device=self.device, dtype=torch.int32)[None]
        # Whole numbers of 32 bits: exact, and on a GPU far quicker to divide than those of 64.
        place = (notes.start[block, None] % TABLE).int() + count
        rich = (HIGHEST_HZ * TABLE / SAMPLE_RATE_HZ / turns).clamp(4, 256).log2().floor().long() - 2
        at = (kind[:, None] * len(HARMONICS) + rich) * 2 * TABLE + (turns.int() * place) % TABLE
        bright, dark = self._tables[at], self._tables[at + TABLE]
        t = count / SAMPLE_RATE_HZ
        wave = torch.lerp(dark, bright, torch.exp(-t / setting["fading_s"]))
        held = setting["sustain"] + (1 - setting["sustain"]) * torch.exp(-t / setting["decay_s"])
        envelope = held * (t / setting["attack_s"]).clamp(max=1)
        envelope = envelope * torch.exp(-(t - length).clamp(min=0) * 3 / setting["release_s"])
        ending = ((length + 2 * setting["release_s"] - t) / 0.005).clamp(0, 1)
        swing = torch.cos(place % TREMOLO * (2 * math.pi / TREMOLO))
        wave = wave * (1 - setting["tremolo"] * (0.5 - 0.5 * swing))
        return wave * envelope * ending * (notes.strength[block, None] * setting["gain"])

    def _play_hits(self, sound: Tensor, struck: Sequence[tuple[int, Part]]) -> None:
        rows = [np.full(len(part.notes), number) for number, part in struck]
        kinds = [np.full(len(part.notes), part.kit) for _, part in struck]
        notes = torch.from_numpy(np.concatenate([part.notes for _, part in struck])).to(self.device)
        row, kit = torch.tensor(np.stack([np.concatenate(rows), np.concatenate(kinds)])).to(self.device)
        place = torch.arange(HIT_SAMPLES, device=self.device)
        for block in torch.arange(len(notes), device=self.device).split(BLOCK // HIT_SAMPLES):
            start, _, hit, strength = notes[block].T
            first = (start * SAMPLE_RATE_HZ).round().long()[:, None]
            at = first + place
            which = kit[block], hit.long()
            ringing = self._kits.ringing[which].gather(1, first % FRAME + place)
            shots = self._kits.struck[which] + self._kits.envelope[which] * ringing
            shots = shots * strength[:, None]
            shots = torch.where(at < sound.shape[1], shots, 0.0)
            at = at.clamp(max=sound.shape[1] - 1) + row[block, None] * sound.shape[1]
            sound.view(-1).index_add_(0, at.view(-1), shots.view(-1))


def _levelled(stems: Tensor) -> Tensor:
    mix = stems.sum(1)
    loudness = mix.square().mean((1, 2)).sqrt().clamp(min=1e-6)
    peak = mix.abs().amax((1, 2)).clamp(min=1e-6)
    gain = torch.minimum(LOUDNESS / loudness, PEAK / peak)
    return stems * gain[:, None, None, None]


def tuned_turns(pitch: np.ndarray) -> np.ndarray:
    """Of MIDI numbers, in `TUNING_FRAMES`."""
    turns = 440 * 2 ** ((pitch - 69) / 12) * TABLE / SAMPLE_RATE_HZ
    step = np.where(pitch < MIDDLE_C, 1, TUNING_FRAMES // HIGH_TUNING_FRAMES)
    whole: np.ndarray = np.round(turns / step) * step
    return whole


def _tables(voices: Sequence[Voice]) -> Tensor:
    """`[voices * richness * 2 * TABLE]`, flat, for each voice and richness bright and dark."""
    phase = np.arange(TABLE) / TABLE
    k = np.arange(1, HARMONICS[-1] + 1, dtype=np.float64)
    tables = []
    for number, voice in enumerate(voices):
        turns = np.random.default_rng(number).uniform(0, 1, len(k))  # lower peaks than all in phase
        waves = np.sin(2 * np.pi * (k[:, None] * phase + (turns * (k > 1))[:, None]))
        for count in HARMONICS:
            for spectrum in (voice.bright, voice.dark):
                strengths = spectrum(k[:count])
                tables.append(strengths @ waves[:count] / max(1e-9, np.sqrt(np.sum(strengths**2))))
    return torch.from_numpy(np.concatenate(tables)).float()
