"""What independent tools hear in a recording: tempo and key by librosa, stems by spectra."""

from dataclasses import dataclass

import librosa
import numpy as np
import numpy.typing as npt
from librosa.decompose import hpss
from librosa.effects import harmonic
from librosa.onset import onset_strength

from training.theory import Key

Sound = npt.NDArray[np.float32]
RATE_HZ = 22_050

# How each step of a scale stands out in music of a key: to the listeners of Krumhansl and Kessler 1982, and
# in the scores of Albrecht and Shanahan 2013. Both are asked.
PROFILES = {
    "major": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    ),
    "minor": (
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
}
LOWEST, OCTAVES = "C4", 2
"""Where a key is listened for: below, roots and fifths of a bass outweigh thirds; above, overtones do."""
PULSES = (1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3)
"""Another level of the same metre counts as the tempo: half, double, and thirds in three and six."""


@dataclass(frozen=True, slots=True)
class Heard:
    bpm: float
    tonic: int
    mode: str

    def has_tempo(self, bpm: int, meter: int) -> bool:
        """Within 4 %, octaves folded; in three and six also by thirds."""
        levels = PULSES if meter in (3, 6) else (1 / 2, 1, 2)
        return any(abs(self.bpm / (bpm * level) - 1) <= 0.04 for level in levels)

    def has_key(self, tonic: int, mode: str) -> bool:
        """The key itself or its relative."""
        return Key(self.tonic, self.mode) in (Key(tonic, mode), Key(tonic, mode).relative)


def hear(sound: Sound, rate_hz: int) -> Heard:
    """`sound` is `[samples, channels]`."""
    mono = librosa.resample(sound.mean(1), orig_sr=rate_hz, target_sr=RATE_HZ)
    onsets = onset_strength(y=mono, sr=RATE_HZ)
    return Heard(_tempo(onsets), *_key(mono))


def _tempo(onsets: Sound) -> float:
    """The lag at which the onsets repeat best, found finer than librosa's own whole frames."""
    rough = float(np.atleast_1d(librosa.feature.tempo(onset_envelope=onsets, sr=RATE_HZ))[0])
    rate = RATE_HZ / 512
    centred = onsets - onsets.mean()
    size = 1 << (2 * len(centred)).bit_length()
    again = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[: len(centred)]
    lags = 60 * rate / (rough * np.linspace(0.94, 1.06, 241))
    # Four beats apart, the same error of the tempo moves the peak four times as far.
    strength = sum(np.interp(lags * beats, np.arange(len(again)), again) for beats in (1, 2, 4))
    return float(60 * rate / lags[int(np.argmax(strength))])


def _key(mono: Sound) -> tuple[int, str]:
    held = harmonic(mono, margin=2)
    low = librosa.note_to_hz(LOWEST)
    bands = np.abs(librosa.cqt(held, sr=RATE_HZ, fmin=low, n_bins=12 * OCTAVES))
    level = bands.max(0) + 1e-3 * bands.max()  # a quiet bar tells as much as a loud one
    chroma = ((bands / level) ** 2).mean(1).reshape(OCTAVES, 12).sum(0)
    fits = {
        (tonic, mode): sum(
            float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]) for profile in profiles
        )
        for mode, profiles in PROFILES.items()
        for tonic in range(12)
    }
    return max(fits, key=lambda key: fits[key])


def drum_share(sound: Sound) -> float:
    """The percussive part of the energy, 0 to 1, by median filters over the spectrogram."""
    spectrum = librosa.stft(sound.mean(1)[::2].astype(np.float32))
    held, struck = hpss(spectrum, margin=1.0)
    strong = float(np.sum(np.abs(struck) ** 2))
    return strong / max(1e-12, strong + float(np.sum(np.abs(held) ** 2)))


def click(sound: Sound, rate_hz: int, at_s: float, around_s: float = 0.01) -> float:
    """The largest step between samples near `at_s`, against the largest anywhere else in `sound`."""
    steps = np.abs(np.diff(sound.mean(1)))
    low, high = (round((at_s + side * around_s) * rate_hz) for side in (-1, 1))
    elsewhere = np.concatenate([steps[:low], steps[high:]])
    return float(steps[low:high].max() / max(1e-9, elsewhere.max()))
