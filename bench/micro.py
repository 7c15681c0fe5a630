"""Does the micro family obey? `python -m bench.micro --models FOLDER --json FILE [--workers 8]`.

Every figure is of songs that nothing was trained on: their captions and metadata are asked for, and
`bench.micro_measures` hears what comes. The first rows measure the synthesizer's own songs: what the
tools cannot hear there, they cannot miss in a render.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from bench.micro_measures import Sound, click, drum_share, hear
from bench.micro_studio import Reader, Studio, by_base, cover, extract, repaint, text2music
from common.music import CODE_RATE_HZ, SAMPLE_RATE_HZ, UNKNOWN_LANGUAGE
from dit_service.engine import Encoding
from lm_service.metadata import Metadata
from training import ear, spectral
from training.captions import describe
from training.compose import compose
from training.export import LANGUAGE_MODEL_NAME
from training.synth import Synth
from training.voices import TRACKS

FIRST_SEED = 5000
"""Far from the songs that were trained on, and from those that the tokenizer read."""
SECONDS = 10.0
EAR = Path(__file__).with_name("micro_ear.safetensors")
REGION_S = (4.0, 6.5)
GUIDANCE = 3.0
FEW = 6
"""Songs of which figures are taken that hardly differ from song to song."""


@dataclass(frozen=True, slots=True)
class Row:
    """Shares, 0 to 1: tempo and key of songs, families of what was asked and of what was not."""

    of: str
    songs: int
    tempo: float
    key: float
    """The key or its relative."""
    tonic: float
    """Whatever the mode: overtones make a tool hear major thirds where there are none."""
    heard: float
    """Of the families that were asked for, how many are heard."""
    silent: float
    """Of those that were not, how many are not heard."""


@dataclass(slots=True)
class Verdict:
    """Of one sound, what `Row` has shares of."""

    tempo: list[bool] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)
    tonic: list[bool] = field(default_factory=list)
    heard: list[bool] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)


Found = dict[str, list[float]]
"""Named values of one song; a figure is their mean over songs, or their largest."""


class Bench:
    """Models and tools, and one song at a time."""

    def __init__(self, models: Path) -> None:
        self._ear = ear.load(EAR)
        self._synth = Synth()
        self.studio = Studio(models)
        self.reader = Reader(models / LANGUAGE_MODEL_NAME)

    def take(self, number: int) -> None:
        self.number, self.song = number, compose(FIRST_SEED + number, SECONDS)
        self.caption = describe(self.song, np.random.default_rng(self.song.seed)).caption
        self.mix: Sound = self._synth.mix(self.song).T.numpy().copy()
        self._encoding: Encoding | None = None
        self._made: Sound | None = None

    @property
    def encoding(self) -> Encoding:
        """Of the synthesizer's song."""
        if self._encoding is None:
            self._encoding = self.studio.encode(self.mix)
        return self._encoding

    @property
    def made(self) -> Sound:
        """Turbo's song."""
        if self._made is None:
            self._made = self.studio.render(text2music(self.song, self.caption))
        return self._made

    def families(self, sound: Sound) -> set[str]:
        scores = self._ear(torch.from_numpy(sound.mean(1))[None])[0]
        return {track for track, score in zip(TRACKS, scores.tolist(), strict=True) if score > 0}

    def judge(self, sound: Sound) -> Verdict:
        """It should have the song's tempo, key and families."""
        song, found, families = self.song, hear(sound, SAMPLE_RATE_HZ), self.families(sound)
        return Verdict(
            [found.has_tempo(song.bpm, song.meter)],
            [found.has_key(song.key.tonic, song.key.mode)],
            [found.tonic == song.key.tonic],
            [track in families for track in song.tracks],
            [track not in families for track in TRACKS if track not in song.tracks],
        )

    def understood(self, codes: tuple[int, ...]) -> Found:
        """Whether a description of codes has the tempo within 2, and the key or its relative."""
        told, song = self.reader.understand(codes), self.song
        bpm, key = told.get("bpm", ""), told.get("keyscale")
        return {
            "bpm": [bpm.isdecimal() and abs(int(bpm) - song.bpm) <= 2],
            "key": [key in (song.key.name, song.key.relative.name)],
        }


def through(bench: Bench) -> Sound:
    return bench.studio.decode(bench.encoding.latents)


def covered(bench: Bench) -> Sound:
    """The song's own codes with its caption alone: tempo and key have to come from the codes."""
    job = replace(text2music(bench.song, bench.caption), bpm=None, keyscale=None, timesignature=None)
    return bench.studio.render(cover(job, bench.encoding.codes))


def thought(bench: Bench, guidance: float) -> Sound:
    song, caption = bench.song, bench.caption
    known = Metadata(
        bpm=song.bpm,
        caption=caption,
        duration_s=song.duration_s,
        keyscale=song.key.name,
        language=UNKNOWN_LANGUAGE,
        timesignature=str(song.meter),
    )
    codes = bench.reader.compose(caption, known, int(SECONDS) * CODE_RATE_HZ, song.seed, guidance)
    return bench.studio.render(cover(text2music(song, caption), codes))


def by_scale(scale: float) -> Callable[[Bench], Sound]:
    return lambda bench: bench.studio.render(by_base(text2music(bench.song, bench.caption), scale))


def follows(bench: Bench) -> Found:
    """A cover with the next song's instruments: which of the families by which the two differ follow."""
    song, other = bench.song, compose(bench.song.seed + 1, SECONDS)
    wished = replace(other, bpm=song.bpm, key=song.key, meter=song.meter)
    caption = describe(other, np.random.default_rng(other.seed)).caption
    made = bench.studio.render(cover(text2music(wished, caption), bench.encoding.codes))
    families, found = bench.families(made), hear(made, SAMPLE_RATE_HZ)
    differing = set(song.tracks) ^ set(other.tracks)
    return {
        "families": [(track in families) == (track in other.tracks) for track in differing],
        "tempo": [found.has_tempo(song.bpm, song.meter)],
    }


def joins(bench: Bench) -> Found:
    """The steepest step near a join against the steepest elsewhere: above 1 would click."""
    if bench.number >= FEW:
        return {}
    job = repaint(text2music(bench.song, bench.caption), bench.mix, *REGION_S)
    made = bench.studio.render(job)
    return {"worst": [click(made, SAMPLE_RATE_HZ, at) for at in REGION_S]}


def drums_extracted(bench: Bench) -> Found:
    """The percussive share of songs with drums, and of what is extracted from them as drums."""
    if bench.number >= FEW or "drums" not in bench.song.tracks:
        return {}
    job = extract(text2music(bench.song, bench.caption), bench.mix, "drums", GUIDANCE)
    return {"before": [drum_share(bench.mix)], "after": [drum_share(bench.studio.render(job))]}


def duration_error(bench: Bench) -> Found:
    seconds = {0: 10.0, 1: 20.0, 2: 30.0}.get(bench.number)
    if seconds is None:
        return {}
    made = bench.studio.render(text2music(compose(bench.song.seed, seconds), bench.caption))
    return {"worst": [abs(len(made) / SAMPLE_RATE_HZ - seconds)]}


def codec_distance(bench: Bench) -> Found:
    """Spectral distance between a song and what the codec makes of it."""
    made, wanted = (torch.from_numpy(sound.T.copy())[None] for sound in (through(bench), bench.mix))
    return {"mean": [float(spectral.distance(made, wanted))]}


SOUNDS: dict[str, Callable[[Bench], Sound]] = {
    "synthesizer": lambda bench: bench.mix,
    "codec": through,
    "turbo, 8 steps": lambda bench: bench.made,
    "turbo on the language model's codes": lambda bench: thought(bench, 1.0),
    "turbo on its codes with guidance 2": lambda bench: thought(bench, 2.0),
    "turbo on a song's codes alone": covered,
    "base, no guidance": by_scale(1.0),
    f"base, guidance {GUIDANCE:g}": by_scale(GUIDANCE),
}
FIGURES: dict[str, Callable[[Bench], Found]] = {
    "understand_given_codes": lambda bench: bench.understood(bench.encoding.codes),
    "understand_own_renders": lambda bench: bench.understood(bench.studio.encode(bench.made).codes),
    "cover_follows": follows,
    "repaint_click": joins,
    "extract_drums_share": drums_extracted,
    "duration_error_s": duration_error,
    "codec_distance": codec_distance,
}


def of_song(bench: Bench, number: int, parts: list[str]) -> dict[str, Verdict | Found]:
    bench.take(number)
    found: dict[str, Verdict | Found] = {}
    for name in parts:
        found[name] = bench.judge(SOUNDS[name](bench)) if name in SOUNDS else FIGURES[name](bench)
    return found


def summary(songs: list[dict[str, Verdict | Found]], parts: list[str]) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    summed: dict[str, object] = {"songs": len(songs), "rows": rows}
    for name in parts:
        found = [song[name] for song in songs]
        if name in SOUNDS:
            verdicts = [asdict(one) for one in found if isinstance(one, Verdict)]
            shares = (_mean([one[share] for one in verdicts]) for share in verdicts[0])
            rows.append(asdict(Row(name, len(songs), *shares)))
        else:
            figures = [one for one in found if isinstance(one, dict)]
            names = dict.fromkeys(key for one in figures for key in one)
            summed[name] = {
                key: (max if key == "worst" else np.mean)([v for one in figures for v in one.get(key, [])])
                for key in names
            }
    return summed


def _mean(lists: list[list[bool]]) -> float:
    return float(np.mean([value for values in lists for value in values]))


def report(found: dict[str, object]) -> str:
    """The figures as Markdown."""
    lines = ["| sound | songs | tempo | key | tonic | asked heard | unasked silent |", "| --- " * 7 + "|"]
    for row in found["rows"]:  # type: ignore[attr-defined]
        shares = " | ".join(f"{row[name]:.0%}" for name in ("tempo", "key", "tonic", "heard", "silent"))
        lines.append(f"| {row['of']} | {row['songs']} | {shares} |")
    lines += ["", "| figure | value |", "| --- | --- |"]
    for name, value in found.items():
        if isinstance(value, dict):
            told = ", ".join(f"{key} {number:.3g}" for key, number in value.items())
            lines.append(f"| {name.replace('_', ' ')} | {told} |")
    return "\n".join(lines) + "\n"


_at_work: list[Bench] = []
"""The bench of this process, which a pool's workers make once."""


def _start(models: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    _at_work.append(Bench(models))


def _one(number: int, parts: list[str]) -> dict[str, Verdict | Found]:
    return of_song(_at_work[0], number, parts)


def _songs(arguments: argparse.Namespace) -> Iterator[dict[str, Verdict | Found]]:
    numbers, parts = range(arguments.songs), arguments.parts
    if arguments.workers < 2:
        bench = Bench(arguments.models)
        yield from (of_song(bench, number, parts) for number in numbers)
        return
    settings = (arguments.models, arguments.threads)
    with ProcessPoolExecutor(arguments.workers, get_context("spawn"), _start, settings) as pool:
        futures = [pool.submit(_one, number, parts) for number in numbers]
        yield from (future.result() for future in futures)


def main() -> None:
    arguments = _arguments()
    songs: list[dict[str, Verdict | Found]] = []
    for found in _songs(arguments):
        songs.append(found)
        print(len(songs), found, flush=True)
        summed = summary(songs, arguments.parts)
        arguments.json.write_text(json.dumps(summed, indent=2) + "\n")
        arguments.json.with_suffix(".md").write_text(report(summed))


def _arguments() -> argparse.Namespace:
    everything = [*SOUNDS, *FIGURES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with the family")
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--workers", type=int, default=1, help="processes; each holds the whole family")
    parser.add_argument("--threads", type=int, default=2, help="of each worker")
    parser.add_argument("--parts", nargs="+", choices=everything, default=everything)
    parser.add_argument("--json", type=Path, required=True, help="the tables are written beside it as .md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
