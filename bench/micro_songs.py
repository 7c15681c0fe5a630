"""Songs of the micro family to listen to: `python -m bench.micro_songs --models FOLDER --out docs/micro`.

Prompts in a user's words; each song goes into the folder as Ogg Vorbis, with a picture beside it.
`codec.png` shows a piece of a song that nothing was trained on, before and after the codec.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure
from PIL import Image

from acestep_serve.picture import draw
from bench.micro_studio import Studio, text2music
from common.music import SAMPLE_RATE_HZ
from training.compose import compose
from training.synth import Synth
from training.theory import TONICS, Key

SECONDS = 20.0
PROMPTS = {
    "house": ("energetic house with electronic drums, synth bass, organ and lead synth", 124, "A minor", 4),
    "waltz": ("elegant waltz with piano, flute and bass guitar, no drums", 96, "D major", 3),
    "rock": ("driving rock with live drums, bass guitar, organ and brass", 140, "E minor", 4),
    "ambient": ("calm ambient with warm pads, piano and flute", 70, "C major", 4),
}
"""Caption, tempo, key and metre."""
UNSEEN_SEED = 5001
CODEC_S, CODEC_HZ = 4, 8_000
"""What of a song `codec.png` shows."""


def main() -> None:
    arguments = _arguments()
    studio = Studio(arguments.models)
    for place, (name, (caption, bpm, key, meter)) in enumerate(PROMPTS.items()):
        tonic, mode = key.split()
        wished = replace(
            compose(place, SECONDS), bpm=bpm, key=Key(TONICS[mode].index(tonic), mode), meter=meter
        )
        sound = studio.render(text2music(wished, caption))
        sound *= np.float32(0.89 / max(1e-6, np.abs(sound).max()))
        path = arguments.out / f"{name}.ogg"
        soundfile.write(path, sound, SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS")
        picture = path.with_suffix(".png")
        draw(path, picture, f"{caption}; {bpm} bpm, {key}, metre {meter}")
        Image.open(picture).reduce(2).convert("RGB").quantize(64).save(picture, optimize=True)
        print(path, flush=True)
    draw_codec(studio, arguments.out / "codec.png")


def draw_codec(studio: Studio, picture: Path) -> None:
    mix = Synth().mix(compose(UNSEEN_SEED, SECONDS)).T.numpy().copy()
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    sounds = {"song": mix, "through the codec": studio.decode(studio.encode(mix).latents)}
    for axes, (title, sound) in zip(sides, sounds.items(), strict=True):
        mono = sound[: CODEC_S * SAMPLE_RATE_HZ].mean(1) + 1e-9
        axes.specgram(mono, NFFT=4096, Fs=SAMPLE_RATE_HZ, noverlap=3072, cmap="magma", vmin=-140)
        axes.set(title=title, ylim=(0, CODEC_HZ), xlabel="time (s)")
    sides[0].set(ylabel="frequency (Hz)")
    figure.savefig(picture, dpi=80)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
