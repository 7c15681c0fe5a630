"""What a repaint makes anew, and what it keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.music import SAMPLE_RATE_HZ
from dit_service.canvas import Region, lay_out, soft_mask
from dit_service.engine import Keeping, RenderJob, SourceSound, Waveform
from dit_service.repaint import surroundings
from dit_service.splice import splice
from tests.dit.golden import wave
from tests.dit.jobs import JOB

SOURCE = wave(288_777, kind=0)
CONSERVATIVE = Keeping(held_share=1.0, latent_fade_frames=25, splices=True, sound_fade_s=0.05)


def job(*regions: Region, keeping: Keeping = CONSERVATIVE) -> RenderJob:
    return replace(JOB, source=SourceSound(SOURCE), regions=regions, keeping=keeping)


@pytest.mark.parametrize(
    ("regions", "frames", "spans"),
    [
        ([Region(0.0, None)], 150, [(0, 150)]),
        ([Region(1.5, 3.25)], 150, [(37, 81)]),
        ([Region(2.0, None)], 150, [(50, 150)]),
        ([Region(-1.2, 1.0)], 180, [(0, 55)]),
        ([Region(4.0, 7.5161875)], 187, [(100, 187)]),
        ([Region(-1.0, 0.5), Region(3.0, 3.01), Region(5.0, 8.0)], 225, [(0, 37), (100, 101), (150, 225)]),
        ([Region(8.0, 9.0)], 225, [(200, 225)]),
        ([Region(6.01, None)], 150, [(149, 150)]),
        ([], 150, []),
    ],
)
def test_regions_become_frames_and_make_room_where_the_source_has_none(
    regions: list[Region], frames: int, spans: list[tuple[int, int]]
) -> None:
    canvas = lay_out(288_777, regions)

    assert canvas.frame_count == frames
    assert [(span.start, span.stop) for span in canvas.frame_spans()] == spans


def test_ramps_rise_and_fall_outside_the_regions_and_meet_between_them() -> None:
    mask = soft_mask(12, [slice(0, 2), slice(5, 7)], ramp=3)

    expected = [1, 1, 0.75, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    np.testing.assert_allclose(mask, expected, atol=1e-7)


def test_a_ramp_without_room_is_as_long_as_the_room() -> None:
    np.testing.assert_allclose(soft_mask(5, [slice(2, 4)], ramp=9), [1 / 3, 2 / 3, 1, 1, 0.5], atol=1e-7)


def test_samples_outside_the_regions_and_their_ramps_are_the_sources_own() -> None:
    made = wave(288_000, kind=1)
    waveform, ramp = made.copy(), 2400

    splice(waveform, job(Region(1.5, 3.25), Region(4.0, 5.0)))

    start, end, again, last = (round(second * SAMPLE_RATE_HZ) for second in (1.5, 3.25, 4.0, 5.0))
    for kept in (slice(0, start - ramp), slice(end + ramp, again - ramp), slice(last + ramp, 288_000)):
        np.testing.assert_array_equal(waveform[kept], SOURCE[kept])
    for anew in (slice(start, end), slice(again, last)):
        np.testing.assert_array_equal(waveform[anew], made[anew])
    middle = start - ramp // 2
    np.testing.assert_allclose(waveform[middle], (made[middle] + SOURCE[middle]) / 2, atol=1e-3)


def test_a_longer_song_keeps_the_source_where_it_is_now() -> None:
    waveform = wave(345_600, kind=1)

    splice(waveform, job(Region(-1.2, 1.0)))

    at = round(1.2 * SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(waveform[at + 50_400 : at + 288_000], SOURCE[50_400:288_000])


def test_a_loud_render_is_tamed_before_it_meets_its_source() -> None:
    waveform = wave(288_000, kind=1) * 4

    splice(waveform, job(Region(1.0, 2.0)))

    assert np.abs(waveform).max() <= 1.0
    np.testing.assert_array_equal(waveform[100_800:], SOURCE[100_800:288_000])


def test_an_aggressive_repaint_is_left_as_it_was_made() -> None:
    made: Waveform = wave(288_000, kind=1)
    waveform = made.copy()

    splice(waveform, job(Region(1.0, 2.0), keeping=Keeping(0.0, 0, False, 0.0)))

    np.testing.assert_array_equal(waveform, made)


@pytest.mark.parametrize(
    ("share", "is_turbo", "held"), [(1.0, True, 7), (1.0, False, 8), (0.5, True, 4), (0.0, True, 0)]
)
def test_surroundings_are_held_for_their_share_of_the_steps(
    share: float, is_turbo: bool, held: int
) -> None:
    music = torch.zeros(1, 10, 2)

    kept = surroundings(music, [slice(2, 4)], replace(CONSERVATIVE, held_share=share), 8, is_turbo)

    assert kept.held_steps == held
