"""Does the micro family obey? `python -m bench.micro --models FOLDER --json FILE [--songs 12]`.

Every figure is of songs that nothing was trained on: their captions and metadata are asked for, and
`bench.micro_measures` hears what comes. The first rows measure the synthesizer's own songs: what the
tools cannot hear there, they cannot miss in a render.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
from training.song import Song
from training.synth import Synth
from training.voices import TRACKS

FIRST_SEED = 5000
"""Far from the songs that were trained on, and from those that the tokenizer read."""
SECONDS = 10.0
EAR = Path(__file__).with_name("micro_ear.safetensors")
REGION_S = (4.0, 6.5)
GUIDANCE = 3.0


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


class Bench:
    def __init__(self, models: Path, count: int) -> None:
        self._ear = ear.load(EAR)
        self._synth = Synth()
        self.studio = Studio(models)
        self.reader = Reader(models / LANGUAGE_MODEL_NAME)
        self.songs = [compose(FIRST_SEED + place, SECONDS) for place in range(count)]
        self.mixes = {song.seed: self._synth.mix(song).T.numpy().copy() for song in self.songs}
        self._encodings: dict[int, Encoding] = {}
        self.renders: dict[int, Sound] = {}
        """Turbo's songs by seed, once they were judged."""

    def encoding(self, song: Song) -> Encoding:
        """Of the synthesizer's song."""
        if song.seed not in self._encodings:
            self._encodings[song.seed] = self.studio.encode(self.mixes[song.seed])
        return self._encodings[song.seed]

    def families(self, sound: Sound) -> set[str]:
        scores = self._ear(torch.from_numpy(sound.mean(1))[None])[0]
        return {track for track, score in zip(TRACKS, scores.tolist(), strict=True) if score > 0}

    def judge(self, of: str, sound_of: Callable[[Song], Sound]) -> Row:
        """`sound_of` a song should have its tempo, its key and its families."""
        tempo, key, tonic, heard, silent = [], [], [], [], []
        for song in self.songs:
            sound = sound_of(song)
            found, families = hear(sound, SAMPLE_RATE_HZ), self.families(sound)
            tempo.append(found.has_tempo(song.bpm, song.meter))
            key.append(found.has_key(song.key.tonic, song.key.mode))
            tonic.append(found.tonic == song.key.tonic)
            heard += [track in families for track in song.tracks]
            silent += [track not in families for track in TRACKS if track not in song.tracks]
            print(
                f"  {of}: {song.bpm} {song.key.name} {sorted(song.tracks)}: "
                f"{found.bpm:.1f} {found.tonic} {found.mode} {sorted(families)}",
                flush=True,
            )
        shares = [float(np.mean(found)) for found in (tempo, key, tonic, heard, silent)]
        row = Row(of, len(self.songs), *shares)
        print(row, flush=True)
        return row

    def caption(self, song: Song) -> str:
        return describe(song, np.random.default_rng(song.seed)).caption

    def understood(self, codes_of: Callable[[Song], tuple[int, ...]]) -> dict[str, float]:
        """How often a description of codes has the tempo within 2, and the key or its relative."""
        bpm, key = [], []
        for song in self.songs:
            told = self.reader.understand(codes_of(song))
            number = told.get("bpm", "")
            bpm.append(number.isdecimal() and abs(int(number) - song.bpm) <= 2)
            key.append(told.get("keyscale") in (song.key.name, song.key.relative.name))
            print(f"  {song.bpm} {song.key.name}: {number} {told.get('keyscale')}", flush=True)
        return {"bpm": float(np.mean(bpm)), "key": float(np.mean(key))}


def renders(bench: Bench) -> list[Row]:
    def turbo(song: Song) -> Sound:
        bench.renders[song.seed] = bench.studio.render(text2music(song, bench.caption(song)))
        return bench.renders[song.seed]

    return [
        bench.judge("synthesizer", lambda song: bench.mixes[song.seed]),
        bench.judge("turbo, 8 steps", turbo),
        bench.judge("codec", lambda song: through(bench, song)),
    ]


def guided(bench: Bench) -> list[Row]:
    def base(scale: float) -> Callable[[Song], Sound]:
        return lambda song: bench.studio.render(by_base(text2music(song, bench.caption(song)), scale))

    return [
        bench.judge("base, no guidance", base(1.0)),
        bench.judge(f"base, guidance {GUIDANCE:g}", base(GUIDANCE)),
    ]


def by_codes(bench: Bench) -> list[Row]:
    def thought(song: Song) -> Sound:
        caption = bench.caption(song)
        known = Metadata(
            bpm=song.bpm,
            caption=caption,
            duration_s=song.duration_s,
            keyscale=song.key.name,
            language=UNKNOWN_LANGUAGE,
            timesignature=str(song.meter),
        )
        codes = bench.reader.compose(caption, known, int(SECONDS) * CODE_RATE_HZ, song.seed)
        return bench.studio.render(cover(text2music(song, caption), codes))

    return [
        bench.judge("turbo on a song's codes alone", lambda song: covered(bench, song)),
        bench.judge("turbo on the language model's codes", thought),
    ]


def understood_own(bench: Bench) -> dict[str, float]:
    """Turbo's own songs, through audio and codes."""
    return bench.understood(lambda song: bench.studio.encode(bench.renders[song.seed]).codes)


def understood_given(bench: Bench) -> dict[str, float]:
    return bench.understood(lambda song: bench.encoding(song).codes)


def through(bench: Bench, song: Song) -> Sound:
    return bench.studio.decode(bench.encoding(song).latents)


def covered(bench: Bench, song: Song) -> Sound:
    """`song`'s own codes, with the caption of `song`: tempo and key have to come from the codes."""
    codes = bench.encoding(song).codes
    job = replace(text2music(song, bench.caption(song)), bpm=None, keyscale=None, timesignature=None)
    return bench.studio.render(cover(job, codes))


def timbre_changes(bench: Bench) -> float:
    """Covers with the next song's instruments: of the families by which the two differ, how many follow."""
    followed = []
    for song, other in zip(bench.songs, bench.songs[1:], strict=False):
        codes = bench.encoding(song).codes
        wished = replace(other, bpm=song.bpm, key=song.key, meter=song.meter)
        families = bench.families(
            bench.studio.render(cover(text2music(wished, bench.caption(other)), codes))
        )
        for track in set(song.tracks) ^ set(other.tracks):
            followed.append((track in families) == (track in other.tracks))
    return float(np.mean(followed))


def repaints(bench: Bench) -> float:
    """The steepest step near a join against the steepest elsewhere, at worst: above 1 would click."""
    worst = 0.0
    for song in bench.songs[:4]:
        source = bench.mixes[song.seed]
        made = bench.studio.render(repaint(text2music(song, bench.caption(song)), source, *REGION_S))
        worst = max(worst, *(click(made, SAMPLE_RATE_HZ, at) for at in REGION_S))
    return worst


def drums_extracted(bench: Bench) -> dict[str, float]:
    """The percussive share of songs with drums, and of what is extracted from them as drums."""
    before, after = [], []
    for song in [one for one in bench.songs if "drums" in one.tracks][:4]:
        source = bench.mixes[song.seed]
        job = extract(text2music(song, bench.caption(song)), source, "drums", GUIDANCE)
        before.append(drum_share(source))
        after.append(drum_share(bench.studio.render(job)))
    return {"before": float(np.mean(before)), "after": float(np.mean(after))}


def longest_error_s(bench: Bench) -> float:
    errors = []
    for seconds in (10.0, 20.0, 30.0):
        song = compose(FIRST_SEED + int(seconds), seconds)
        made = bench.studio.render(text2music(song, bench.caption(song)))
        errors.append(abs(len(made) / SAMPLE_RATE_HZ - seconds))
    return max(errors)


def codec_distance(bench: Bench) -> float:
    """Mean spectral distance between songs and what the codec makes of them."""
    distances = []
    for song in bench.songs[:4]:
        mix, again = bench.mixes[song.seed], through(bench, song)
        made, wanted = (torch.from_numpy(sound.T.copy())[None] for sound in (again, mix))
        distances.append(float(spectral.distance(made, wanted)))
    return float(np.mean(distances))


ROWS: dict[str, Callable[[Bench], list[Row]]] = {"renders": renders, "codes": by_codes, "guidance": guided}
FIGURES: dict[str, Callable[[Bench], float | dict[str, float]]] = {
    "understand_own_renders": understood_own,
    "understand_given_codes": understood_given,
    "cover_follows_new_instruments": timbre_changes,
    "repaint_click": repaints,
    "extract_drums_share": drums_extracted,
    "duration_error_s": longest_error_s,
    "codec_distance": codec_distance,
}
"""`understand_own_renders` is of the songs that `renders` has made."""


def report(found: dict[str, object]) -> str:
    """The figures as Markdown."""
    lines = ["| sound | songs | tempo | key | tonic | asked heard | unasked silent |", "| --- " * 7 + "|"]
    for row in found["rows"]:  # type: ignore[attr-defined]
        shares = " | ".join(f"{row[name]:.0%}" for name in ("tempo", "key", "tonic", "heard", "silent"))
        lines.append(f"| {row['of']} | {row['songs']} | {shares} |")
    lines += ["", "| figure | value |", "| --- | --- |"]
    for name, value in found.items():
        if name != "rows":
            values = value.items() if isinstance(value, dict) else [("", value)]
            told = ", ".join(f"{key} {number:.3g}".strip() for key, number in values)
            lines.append(f"| {name.replace('_', ' ')} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = _arguments()
    bench = Bench(arguments.models, arguments.songs)
    found: dict[str, object] = {"rows": []}
    for name in arguments.parts:
        if name in ROWS:
            found["rows"] += [asdict(row) for row in ROWS[name](bench)]  # type: ignore[operator]
        else:
            found[name] = FIGURES[name](bench)
            print(name, found[name], flush=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
        arguments.json.with_suffix(".md").write_text(report(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with the family")
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--parts", nargs="+", choices=[*ROWS, *FIGURES], default=[*ROWS, *FIGURES])
    parser.add_argument("--json", type=Path, required=True, help="the tables are written beside it as .md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
