"""What the DiT is asked in training: a task on a piece of a song, with its texts."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from dit_service import prompt
from dit_service.engine import Task
from training.captions import describe, lyrics
from training.latents import Library, Shelf
from training.song import Song

ABSENT = 0.15
"""How often a field of the metadata is not told."""

TEXT_TOKENS, LYRIC_TOKENS = 104, 31
"""With the timbre's one they make 136, a multiple of 8, which fast attention wants."""
REFERENCES = 8
"""Rows of a batch that hear another song's timbre; all others hear silence."""
REFERENCE_FRAMES = 750
TASKS = {
    Task.TEXT2MUSIC: 0.34,
    Task.COVER: 0.26,
    Task.REPAINT: 0.08,
    Task.EXTRACT: 0.16,
    Task.LEGO: 0.08,
    Task.COMPLETE: 0.08,
}
"""Where a song's stems are not known, the last three are TEXT2MUSIC too."""
STEM_TASKS = (Task.EXTRACT, Task.LEGO, Task.COMPLETE)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Many lessons on the songs of one shelf, a row each, on the device."""

    shelf: Shelf
    hints: Tensor
    """What the codes of each song stand for, `[songs, frames, channels]`."""
    task: Tensor
    """Place in `TASKS`."""
    song: Tensor
    stem: Tensor
    """Place among the shelf's stems, or 0."""
    window: Tensor
    """`[lessons, 2]`: the frames that a repaint makes anew."""
    text: Tensor
    lyrics: Tensor
    """Ids, padded with -1."""

    def __len__(self) -> int:
        return len(self.task)


def lessons(
    library: Library, hints: list[Tensor], tokenizer: Tokenizer, rounds: int, seed: int
) -> list[Lessons]:
    """`rounds` lessons of every song, by shelf."""
    draw = np.random.default_rng(seed)
    return [
        _of_shelf(shelf, known, tokenizer, rounds, draw)
        for shelf, known in zip(library, hints, strict=True)
    ]


def _of_shelf(
    shelf: Shelf, hints: Tensor, tokenizer: Tokenizer, rounds: int, draw: np.random.Generator
) -> Lessons:
    rows: list[tuple[int, int, int, int, int]] = []
    texts: list[str] = []
    words: list[str] = []
    names = list(TASKS)
    for number, song in enumerate(shelf.songs):
        for _ in range(rounds):
            task = names[draw.choice(len(names), p=list(TASKS.values()))]
            if task in STEM_TASKS and number not in shelf.stem_of:
                task = Task.TEXT2MUSIC
            place, track = shelf.stem_of.get(number, (0, ""))
            low, high = np.sort(draw.choice(shelf.mixes.shape[1], 2, replace=False)).tolist()
            rows.append((names.index(task), number, place, low, high))
            text, sung = _texts(song, task, track, draw)
            texts.append(text)
            words.append(sung)
    device = shelf.mixes.device
    tasks, songs, stems, low, high = torch.tensor(rows, device=device).unbind(1)
    return Lessons(
        shelf,
        hints,
        tasks,
        songs,
        stems,
        torch.stack([low, high], 1),
        _ids(tokenizer, texts, TEXT_TOKENS).to(device),
        _ids(tokenizer, words, LYRIC_TOKENS).to(device),
    )


def _texts(song: Song, task: Task, track: str, draw: np.random.Generator) -> tuple[str, str]:
    told = describe(song, draw)
    tracks = [track] if task in (Task.EXTRACT, Task.LEGO) else _missing(song, track)
    order = prompt.INSTRUCTIONS[task].format(tracks=" | ".join(tracks))
    known = draw.random(3) >= ABSENT
    text = (
        f"# Instruction\n{order}\n\n# Caption\n{told.caption}\n\n# Metas\n"
        f"- bpm: {song.bpm if known[0] else prompt.ABSENT}\n"
        f"- timesignature: {song.meter if known[1] else prompt.ABSENT}\n"
        f"- keyscale: {song.key.name if known[2] else prompt.ABSENT}\n"
        f"- duration: {int(song.duration_s)} seconds\n{prompt.END_OF_TEXT}\n"
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
    timbres: Tensor
    """`[1 + REFERENCES, 750, channels]`: silence, then the first rows' own songs."""
    text: Tensor
    lyrics: Tensor


def batch(lessons: Lessons, chosen: Tensor, silence: Tensor) -> Batch:
    """What the network sees and should make, for the rows `chosen`. A reference is the song itself,
    repeated to 30 s as the service repeats a short one."""
    names, shelf = list(TASKS), lessons.shelf
    task, song = lessons.task[chosen, None, None], lessons.song[chosen]
    place = torch.arange(shelf.mixes.shape[1], device=chosen.device)[None]
    mix, hint = shelf.mixes[song].float(), lessons.hints[song].float()
    target, source = mix, silence.expand_as(mix)
    mask = torch.ones_like(mix)
    source = torch.where(task == names.index(Task.COVER), hint, source)
    low, high = lessons.window[chosen].unbind(1)
    inside = ((place >= low[:, None]) & (place < high[:, None]))[..., None]
    kept = (task == names.index(Task.REPAINT)) & ~inside
    source = torch.where(kept, mix, source)
    mask = torch.where(kept, 0.0, mask)
    if len(shelf.stems):
        alone, others = shelf.stems[lessons.stem[chosen]].float().unbind(1)
        extract, lego, complete = (task == names.index(kind) for kind in STEM_TASKS)
        source = torch.where(extract, mix, torch.where(lego, others, torch.where(complete, alone, source)))
        target = torch.where(extract | lego, alone, target)
    silent = silence.expand(1, REFERENCE_FRAMES, -1)
    heard = min(REFERENCES, len(chosen))
    repeated = mix[:heard].repeat(1, -(-REFERENCE_FRAMES // mix.shape[1]), 1)[:, :REFERENCE_FRAMES]
    context = torch.cat([source, mask], dim=-1)
    return Batch(
        target, context, torch.cat([silent, repeated]), lessons.text[chosen], lessons.lyrics[chosen]
    )
