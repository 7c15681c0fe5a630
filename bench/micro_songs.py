"""Songs of the micro family to listen to: `python -m bench.micro_songs --models FOLDER --out docs/micro`.

Prompts in a user's words; each song goes into the folder as Ogg Vorbis, with a picture beside it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from acestep_serve.picture import draw
from bench.micro_studio import Studio, text2music
from common.music import SAMPLE_RATE_HZ
from training.compose import compose
from training.theory import TONICS, Key

SECONDS = 20.0
PROMPTS = {
    "house": ("energetic house with electronic drums, synth bass, organ and lead synth", 124, "A minor", 4),
    "waltz": ("elegant waltz with piano, flute and bass guitar, no drums", 96, "D major", 3),
    "rock": ("driving rock with live drums, bass guitar, organ and brass", 140, "E minor", 4),
    "ambient": ("calm ambient with warm pads, piano and flute", 70, "C major", 4),
}
"""Caption, tempo, key and metre."""


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
