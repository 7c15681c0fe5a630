"""What the DiT is asked in training: a task on a piece of a song, with its texts."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from common.music import LATENT_RATE_HZ
from dit_service import prompt
from dit_service.engine import Task
from training.captions import describe, lyrics
from training.latents import FRAMES, Library
from training.song import Song

LENGTHS_S = (10, 20, 30)
ABSENT = 0.15
"""How often a field of the metadata is not told."""

TEXT_TOKENS, LYRIC_TOKENS = 96, 40
TASKS = {
    Task.TEXT2MUSIC: 0.5,
    Task.COVER: 0.22,
    Task.REPAINT: 0.1,
    Task.EXTRACT: 0.07,
    Task.LEGO: 0.06,
    Task.COMPLETE: 0.05,
}
STEM_TASKS = (Task.EXTRACT, Task.LEGO, Task.COMPLETE)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Many lessons of one length, a row each, on the device."""

    frames: int
    task: Tensor
    """Place in `TASKS`."""
    song: Tensor
    start: Tensor
    """In frames."""
    stem: Tensor
    """Place among the library's stems, or 0."""
    window: Tensor
    """`[lessons, 2]`: the frames that a repaint makes anew."""
    text: Tensor
    lyrics: Tensor
    """Ids, padded with -1."""

    def __len__(self) -> int:
        return len(self.task)


def lessons(library: Library, tokenizer: Tokenizer, rounds: int, seed: int) -> list[Lessons]:
    """`rounds` lessons of every song, by length."""
    draw = np.random.default_rng(seed)
    rows: dict[int, list[tuple[int, int, int, int, int, int]]] = {length: [] for length in LENGTHS_S}
    texts: dict[int, list[str]] = {length: [] for length in LENGTHS_S}
    words: dict[int, list[str]] = {length: [] for length in LENGTHS_S}
    names = list(TASKS)
    for number in range(len(library.songs)):
        song = library.songs[number]
        for _ in range(rounds):
            length = int(draw.choice(LENGTHS_S))
            task = names[draw.choice(len(names), p=list(TASKS.values()))]
            if task in STEM_TASKS and number not in library.stem_of:
                task = Task.TEXT2MUSIC
            start = _start(song, length, draw)
            place, track = library.stem_of.get(number, (0, ""))
            window = np.sort(draw.choice(length * LATENT_RATE_HZ, 2, replace=False))
            rows[length].append((names.index(task), number, start, place, *window.tolist()))
            text, sung = _texts(song, task, track, length, draw)
            texts[length].append(text)
            words[length].append(sung)
    device = library.mixes.device
    return [
        _packed(
            length * LATENT_RATE_HZ,
            torch.tensor(rows[length], device=device),
            _ids(tokenizer, texts[length], TEXT_TOKENS).to(device),
            _ids(tokenizer, words[length], LYRIC_TOKENS).to(device),
        )
        for length in LENGTHS_S
        if rows[length]
    ]


def _packed(frames: int, rows: Tensor, text: Tensor, words: Tensor) -> Lessons:
    task, song, start, stem, low, high = rows.unbind(1)
    return Lessons(frames, task, song, start, stem, torch.stack([low, high], 1), text, words)


def _start(song: Song, length_s: int, draw: np.random.Generator) -> int:
    """A bar's first frame, so that the beat always begins with the piece."""
    beats = 2 if song.meter == 6 else song.meter
    bar = 60 / song.bpm * beats * LATENT_RATE_HZ
    bars = int((FRAMES - length_s * LATENT_RATE_HZ) / bar)
    return round(bar * int(draw.integers(bars + 1))) if bars > 0 else 0


def _texts(song: Song, task: Task, track: str, length_s: int, draw: np.random.Generator) -> tuple[str, str]:
    told = describe(song, draw)
    tracks = [track] if task in (Task.EXTRACT, Task.LEGO) else _missing(song, track)
    order = prompt.INSTRUCTIONS[task].format(tracks=" | ".join(tracks))
    known = draw.random(3) >= ABSENT
    text = (
        f"# Instruction\n{order}\n\n# Caption\n{told.caption}\n\n# Metas\n"
        f"- bpm: {song.bpm if known[0] else prompt.ABSENT}\n"
        f"- timesignature: {song.meter if known[1] else prompt.ABSENT}\n"
        f"- keyscale: {song.key.name if known[2] else prompt.ABSENT}\n"
        f"- duration: {length_s} seconds\n{prompt.END_OF_TEXT}\n"
    )
    sung = f"# Languages\nunknown\n\n# Lyric\n{lyrics(song, draw)}{prompt.END_OF_TEXT}"
    return text, sung


def _missing(song: Song, track: str) -> list[str]:
    return [name.upper() for name in song.tracks if name.upper() != track]


def _ids(tokenizer: Tokenizer, texts: list[str], most: int) -> Tensor:
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    packed = torch.full((len(rows), most), -1)
    for row, ids in zip(packed, rows, strict=True):
        kept = ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]
        row[: len(kept)] = torch.tensor(kept)
    return packed


@dataclass(frozen=True, slots=True)
class Batch:
    target: Tensor
    context: Tensor
    timbre: Tensor
    text: Tensor
    lyrics: Tensor


def batch(lessons: Lessons, chosen: Tensor, library: Library, hints: Tensor, silence: Tensor) -> Batch:
    """What the network sees and should make, for the rows `chosen`."""
    names = list(TASKS)
    task, song = lessons.task[chosen, None, None], lessons.song[chosen, None]
    place = torch.arange(lessons.frames, device=chosen.device)[None]
    frames = lessons.start[chosen, None] + place
    mix = library.mixes[song, frames].float()
    hint = hints[song, frames].float()
    target, source = mix, silence.expand_as(mix)
    mask = torch.ones_like(mix)
    source = torch.where(task == names.index(Task.COVER), hint, source)
    low, high = lessons.window[chosen].unbind(1)
    inside = ((place >= low[:, None]) & (place < high[:, None]))[..., None]
    repaint = task == names.index(Task.REPAINT)
    source = torch.where(repaint & ~inside, mix, source)
    mask = torch.where(repaint & ~inside, 0.0, mask)
    if len(library.stems):
        stem = lessons.stem[chosen, None]
        alone = library.stems[stem, 0, frames].float()
        others = library.stems[stem, 1, frames].float()
        extract, lego, complete = (task == names.index(kind) for kind in STEM_TASKS)
        source = torch.where(extract, mix, torch.where(lego, others, torch.where(complete, alone, source)))
        target = torch.where(extract | lego, alone, target)
    heard = torch.rand(len(chosen), 1, 1, device=chosen.device) < 0.15
    reference = library.mixes[lessons.song[chosen]].float()
    timbre = torch.where(heard, reference, silence.expand_as(reference))
    context = torch.cat([source, mask], dim=-1)
    return Batch(target, context, timbre, lessons.text[chosen], lessons.lyrics[chosen])
