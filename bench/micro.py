"""Does the micro family obey? Tempo, key and codec of songs that were never trained on.

`python -m bench.micro --models FOLDER [--songs 12] [--json FILE]`. The first rows measure the synthesizer's
own songs: what the tools cannot hear there, they cannot miss in a render.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.micro_measures import Sound, drum_share, hear
from common.music import INSTRUMENTAL_LYRICS, SAMPLE_RATE_HZ, UNKNOWN_LANGUAGE
from common.revision import Revision, of_checkpoint
from dit_service import conditions, guidance
from dit_service.networks import load_dit, load_vae
from dit_service.prompt import END_OF_TEXT, TEXT2MUSIC_INSTRUCTION
from dit_service.text_encoder import MAX_LYRIC_TOKENS, MAX_TEXT_TOKENS, TextEncoder
from dit_service.vae import Vae
from training import spectral
from training.captions import describe
from training.compose import compose
from training.serving import served_velocity
from training.song import Song
from training.synth import Synth

FIRST_SEED = 5000
"""Far from the songs that were trained on, and from those that the tokenizer read."""

CPU = torch.device("cpu")
SHIFT = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """Shares are of songs."""

    of: str
    songs: int
    tempo: float
    key: float
    drums_told_apart: float
    """How often a song with drums has a larger percussive share than one without."""


class Renderer:
    """Text to sound by the services' own networks, without the services."""

    def __init__(self, models: Path, version: str) -> None:
        self.vae = Vae(*_loaded_vae(models / "vae"))
        self._text = TextEncoder.load(models / "Qwen3-Embedding-0.6B", CPU, torch.float32)
        self._networks = load_dit(models / f"acestep-v15-{version}", CPU, torch.float32)

    @torch.inference_mode()
    def render(self, song: Song, seconds: int, steps: int, scale: float) -> Sound:
        networks, frames = self._networks, seconds * 25
        sequence = self._sequence(song, seconds)
        context = conditions.context(networks, networks.silence[:, :frames])
        latents = torch.randn(1, frames, self.vae.latent_channels, generator=_generator(song.seed))
        projected = guidance.ProjectedGuidance(scale)
        even = torch.linspace(1, 0, steps + 1)
        times = (SHIFT * even / (1 + (SHIFT - 1) * even)).tolist()
        for now, later in pairwise(times):
            towards = served_velocity(networks, latents, now, sequence, context)
            if scale > 1:
                towards = projected(towards, served_velocity(networks, latents, now, None, context))
            latents = latents - towards * (now - later)
        return self.decoded(latents)

    def decoded(self, latents: Tensor) -> Sound:
        sound: Sound = torch.cat(list(self.vae.decode(latents))).numpy()
        return sound

    def _sequence(self, song: Song, seconds: int) -> Tensor:
        told = describe(song, np.random.default_rng(song.seed))
        text = (
            f"# Instruction\n{TEXT2MUSIC_INSTRUCTION}\n\n# Caption\n{told.caption}\n\n# Metas\n"
            f"- bpm: {song.bpm}\n- timesignature: {song.meter}\n- keyscale: {song.key.name}\n"
            f"- duration: {seconds} seconds\n{END_OF_TEXT}\n"
        )
        lyrics = f"# Languages\n{UNKNOWN_LANGUAGE}\n\n# Lyric\n{INSTRUMENTAL_LYRICS}{END_OF_TEXT}"
        silent = conditions.timbre(self._networks, self._networks.silence[:, :750])
        states = self._text.hidden_states(text[: 16 * MAX_TEXT_TOKENS])
        rows = self._text.embeddings(lyrics[: 16 * MAX_LYRIC_TOKENS])
        return conditions.sequence(self._networks, states, rows, silent)


def _loaded_vae(folder: Path) -> tuple[Revision, object]:
    return of_checkpoint(folder), load_vae(folder, CPU, torch.float32)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def judge(of: str, songs: list[Song], sound_of: Callable[[Song], Sound]) -> Row:
    tempo = key = 0
    shares: dict[bool, list[float]] = {True: [], False: []}
    for song in songs:
        sound = sound_of(song)
        heard = hear(sound, SAMPLE_RATE_HZ)
        tempo += heard.has_tempo(song.bpm, song.meter)
        key += heard.has_key(song.key.tonic, song.key.mode)
        shares["drums" in song.tracks].append(drum_share(sound))
        print(f"  {song.bpm} {song.key.name}: heard {heard.bpm:.1f} {heard.tonic} {heard.mode}", flush=True)
    pairs = [with_drums > without for with_drums in shares[True] for without in shares[False]]
    apart = float(np.mean(pairs)) if pairs else float("nan")
    return Row(of, len(songs), tempo / len(songs), key / len(songs), apart)


@torch.inference_mode()
def codec_distance(vae: Vae, mixes: list[Tensor]) -> float:
    """Mean spectral distance between songs `[2, samples]` and what the codec makes of them."""
    distances = []
    for mix in mixes:
        latents = torch.cat(list(vae.encode(mix.T)), dim=1)
        again = torch.cat(list(vae.decode(latents))).T
        distances.append(float(spectral.distance(again[None], mix[None])))
    return float(np.mean(distances))


def main() -> None:
    arguments = _arguments()
    seconds = arguments.seconds
    songs = [compose(FIRST_SEED + place, float(seconds)) for place in range(arguments.songs)]
    synth = Synth()
    mixes = {song.seed: synth.mix(song) for song in songs}
    rows = [judge("synthesizer", songs, lambda song: mixes[song.seed].T.numpy())]
    print(rows[-1], flush=True)
    result: dict[str, object] = {}
    if arguments.models is not None:
        turbo = Renderer(arguments.models, "turbo")
        some = [mix[:, : 6 * SAMPLE_RATE_HZ] for mix in mixes.values()][:4]
        result["codec_distance"] = codec_distance(turbo.vae, some)
        print(f"codec: spectral distance {result['codec_distance']:.3f}", flush=True)
        rows.append(judge("codec", songs, lambda song: _through(turbo.vae, mixes[song.seed])))
        rows.append(judge("turbo, 8 steps", songs, lambda song: turbo.render(song, seconds, 8, 1.0)))
        for scale in (1.0, 3.0) if arguments.base else ():
            base = Renderer(arguments.models, "base")
            name = f"base, 20 steps, guidance {scale:g}"
            rows.append(judge(name, songs, lambda song, g=scale, b=base: b.render(song, seconds, 20, g)))  # type: ignore[misc]
    for row in rows:
        print(row, flush=True)
    if arguments.json is not None:
        result["rows"] = [asdict(row) for row in rows]
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


@torch.inference_mode()
def _through(vae: Vae, mix: Tensor) -> Sound:
    latents = torch.cat(list(vae.encode(mix.T)), dim=1)
    sound: Sound = torch.cat(list(vae.decode(latents))).numpy()
    return sound


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", type=Path, help="folder with the family; without it, only the synthesizer"
    )
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument(
        "--base", action="store_true", help="also the base model, with and without guidance"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
