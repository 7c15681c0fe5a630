"""The level and the ends of a song."""

import numpy as np
import pytest

from common.errors import AceError
from dit_service.engine import Waveform
from dit_service.finish import Finish, finish, level


def tone(peak: float, samples: int = 480) -> Waveform:
    waveform = np.sin(np.linspace(0, 20, samples))[:, None].repeat(2, axis=1)
    scaled: Waveform = (waveform / np.abs(waveform).max() * peak).astype(np.float32)
    return scaled


def finished(waveform: Waveform, wishes: Finish) -> Waveform:
    finish(waveform, level(waveform).peak, wishes)
    return waveform


@pytest.mark.parametrize("peak", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("decibels", [-1.0, 0.0, -20.0])
def test_a_song_is_scaled_to_the_wanted_peak(peak: float, decibels: float) -> None:
    waveform = finished(tone(peak), Finish(normalization_db=decibels))

    assert np.abs(waveform).max() == pytest.approx(10 ** (decibels / 20), rel=1e-5)
    assert np.abs(waveform).max() <= 1.0


@pytest.mark.parametrize(("peak", "expected"), [(0.2, 0.2), (3.0, 1.0)])
def test_without_normalisation_only_clipping_is_prevented(peak: float, expected: float) -> None:
    waveform = finished(tone(peak), Finish(enable_normalization=False))

    assert np.abs(waveform).max() == pytest.approx(expected, rel=1e-6)


def test_silence_is_told_and_left_alone() -> None:
    waveform = tone(1e-7)

    assert level(waveform).silent
    np.testing.assert_array_equal(finished(waveform.copy(), Finish()), waveform)
    assert not level(tone(1e-3)).silent


def test_fades_run_from_nothing_to_all_and_back() -> None:
    waveform = finished(np.ones((480_00, 2), np.float32), Finish(False, fade_in_s=0.25, fade_out_s=0.5))

    np.testing.assert_allclose(waveform[:12_000, 0], np.linspace(0, 1, 12_000), atol=1e-6)
    np.testing.assert_allclose(waveform[-24_000:, 1], np.linspace(1, 0, 24_000), atol=1e-6)
    assert (waveform[12_000:-24_000] == 1).all()


def test_a_fade_longer_than_the_song_covers_it() -> None:
    waveform = finished(np.ones((100, 2), np.float32), Finish(False, fade_in_s=60.0))

    assert waveform[0, 0] == 0
    assert waveform[-1, 0] == 1


def test_rounding_never_goes_beyond_full_scale() -> None:
    loudest = [
        finished(tone(peak), Finish(normalization_db=0.0)).max() for peak in np.linspace(0.1, 3, 200)
    ]

    assert max(loudest) == 1.0


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_sound_do_not_pass_for_a_song(sample: float) -> None:
    waveform = np.zeros((100, 2), np.float32)
    waveform[50, 1] = sample

    with pytest.raises(AceError) as caught:
        level(waveform)

    assert caught.value.reason == "SAMPLES_NOT_FINITE"
