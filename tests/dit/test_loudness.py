"""Loudness and true peak, against what the standards say of signals that anyone can make.

Source: EBU Tech 3341 (2016), table 1; ITU-R BS.1770-4, annexes 1 and 2.
"""

import math

import numpy as np
import pytest

from dit_service.engine import Waveform
from dit_service.loudness import HEAD_EFFECT, HIGH_PASS, measure

RATE = 48_000


def sine(decibels: float, seconds: float, hertz: float = 1000.0, degrees: float = 0.0) -> Waveform:
    """A stereo tone whose peaks, not its samples, are at `decibels`."""
    phase = 2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE + math.radians(degrees)
    tone = 10 ** (decibels / 20) * np.sin(phase)
    return np.repeat(tone[:, None], 2, axis=1).astype(np.float32)


def tones(*steps: tuple[float, float]) -> Waveform:
    return np.concatenate([sine(decibels, seconds) for decibels, seconds in steps])


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (tones((-23, 20)), -23.0),
        (tones((-33, 20)), -33.0),
        (tones((-36, 10), (-23, 60), (-36, 10)), -23.0),
        (tones((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
        (tones((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
def test_the_test_cases_of_ebu_tech_3341_are_met(sound: Waveform, expected: float) -> None:
    assert measure(sound).integrated_lufs == pytest.approx(expected, abs=0.1)


def test_a_full_scale_tone_on_one_side_is_3_01_below_full_scale() -> None:
    sound = sine(0, 20, hertz=997.0)
    sound[:, 1] = 0

    assert measure(sound).integrated_lufs == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize(("hertz", "degrees"), [(12_000, 0), (12_000, 45), (8_000, 60), (6_000, 67.5)])
def test_peaks_between_the_samples_are_seen(hertz: float, degrees: float) -> None:
    sound = sine(-6, 2, hertz, degrees)
    sound[:RATE] *= np.linspace(0, 1, RATE, dtype=np.float32)[:, None]  # a sudden start overshoots itself
    sound[RATE:] *= np.linspace(1, 0, RATE, dtype=np.float32)[:, None]

    assert -0.4 <= measure(sound).true_peak_dbtp - -6 <= 0.2  # type: ignore[operator]


def test_the_true_peak_is_at_least_that_of_the_samples() -> None:
    sound = np.zeros((3 * RATE, 2), np.float32)
    sound[-1, 1] = -0.5

    assert measure(sound).true_peak_dbtp == pytest.approx(20 * math.log10(0.5), abs=0.3)
    assert measure(sound[:10] + 0.5).true_peak_dbtp >= -6.03  # type: ignore[operator]


def test_the_filters_are_those_of_the_standard_sample_by_sample() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2 * RATE, 2)).astype(np.float32)
    weighted = noise.astype(np.float64)
    for (b0, b1, b2), (_, a1, a2) in (HEAD_EFFECT, HIGH_PASS):
        filtered = np.zeros_like(weighted)
        for at, now in enumerate(weighted):
            before, earlier = (weighted[at - back] if at >= back else 0.0 for back in (1, 2))
            was, had_been = (filtered[at - back] if at >= back else 0.0 for back in (1, 2))
            filtered[at] = b0 * now + b1 * before + b2 * earlier - a1 * was - a2 * had_been
        weighted = filtered
    blocks = [np.square(weighted[at : at + 19_200]).mean(axis=0).sum() for at in range(0, 76_801, 4_800)]

    expected = -0.691 + 10 * math.log10(np.mean(blocks))

    assert measure(noise).integrated_lufs == pytest.approx(expected, abs=1e-4)


def test_in_silence_there_is_nothing_to_measure() -> None:
    silence = measure(np.zeros((RATE, 2), np.float32))

    assert (silence.integrated_lufs, silence.true_peak_dbtp) == (None, None)
    assert measure(sine(-90, 5)).integrated_lufs is None, "below the absolute gate"
    assert measure(sine(-20, 0.39)).integrated_lufs is None, "shorter than a gating block"
