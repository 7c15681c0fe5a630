"""A picture of a song: its waveform above its spectrogram. Needs matplotlib (the `picture` extra)."""

from pathlib import Path

import matplotlib
import numpy as np
import soundfile

matplotlib.use("Agg")

from matplotlib import pyplot


def draw(audio: Path, picture: Path, title: str) -> None:
    """Write a PNG for the audio file."""
    samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    figure, (wave, spectrum) = pyplot.subplots(
        2, 1, figsize=(12, 6), sharex=True, height_ratios=(1, 2), layout="constrained"
    )
    edges = np.linspace(0, len(mono), min(len(mono), 2000) + 1).astype(int)[:-1]
    times = edges / rate
    low = np.minimum.reduceat(samples.min(axis=1), edges)
    high = np.maximum.reduceat(samples.max(axis=1), edges)
    wave.fill_between(times, low, high, linewidth=0.4)
    wave.set(ylim=(-1, 1), ylabel="amplitude", title=title)
    spectrum.specgram(mono + 1e-9, NFFT=2048, Fs=rate, noverlap=1024, cmap="magma", vmin=-140)
    spectrum.set(xlim=(0, len(mono) / rate), ylim=(0, 20_000), ylabel="frequency (Hz)", xlabel="time (s)")
    figure.savefig(picture, dpi=100)
    pyplot.close(figure)
