"""Uploaded files: whatever people have becomes 48 kHz stereo, or is refused before it is decoded."""

import io

import numpy as np
import pytest
import soundfile

from common.errors import AceError, Kind
from dit_service.audio_in import AudioFile, GatheredFile, read_audio
from tests.dit.golden import wave


def file_of(samples: np.ndarray, rate: int, **how: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **{"format": "WAV", "subtype": "FLOAT"} | how)
    return buffer.getvalue()


def read(data: bytes) -> AudioFile:
    return read_audio(GatheredFile(data), "audio")


def refusal(data: bytes) -> AceError:
    with pytest.raises(AceError) as caught:
        read(data)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.violations[0].field == "audio"
    return caught.value


def test_a_file_in_our_own_rate_is_taken_as_it_is() -> None:
    sound = wave(96_001, kind=0)

    audio = read(file_of(sound, 48_000))

    np.testing.assert_array_equal(audio.waveform, sound)
    assert audio.duration_s == pytest.approx(96_001 / 48_000)


@pytest.mark.parametrize("how", [{"format": "FLAC", "subtype": "PCM_16"}, {"format": "MP3", "subtype": ""}])
def test_compressed_formats_are_read(how: dict[str, str]) -> None:
    how = {key: value for key, value in how.items() if value} | (
        {"subtype": "MPEG_LAYER_III"} if how["format"] == "MP3" else {}
    )

    audio = read(file_of(wave(48_000, kind=0), 48_000, **how))

    assert np.abs(audio.waveform - wave(48_000, kind=0)).mean() < 0.05


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_other_rates_are_resampled(rate: int) -> None:
    seconds = np.arange(rate) / rate
    sound = np.sin(2 * np.pi * 440 * seconds)[:, None].repeat(2, axis=1)

    audio = read(file_of(sound, rate))

    expected = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    assert audio.waveform.shape == (48_000, 2)
    middle = slice(2_000, -2_000)
    np.testing.assert_allclose(audio.waveform[middle, 0], expected[middle], atol=1e-3)


def test_mono_goes_to_both_sides_and_more_channels_lose_the_others() -> None:
    sound = wave(4_800, kind=0)

    mono = read(file_of(sound[:, :1], 48_000)).waveform
    many = read(file_of(np.concatenate([sound, sound * 0], axis=1), 48_000)).waveform

    np.testing.assert_array_equal(mono, sound[:, [0, 0]])
    np.testing.assert_array_equal(many, sound)


def test_samples_beyond_full_scale_are_clipped() -> None:
    audio = read(file_of(wave(4_800, kind=0) * 10, 48_000))

    assert np.abs(audio.waveform).max() == 1.0


@pytest.mark.parametrize("data", [b"", b"not audio at all", file_of(wave(4_800, kind=0), 48_000)[:30]])
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    assert refusal(data).reason in ("AUDIO_UNREADABLE", "AUDIO_SILENT")


def test_silence_and_broken_samples_are_refused() -> None:
    assert refusal(file_of(wave(4_800, kind=0) * 0, 48_000)).reason == "AUDIO_SILENT"
    assert refusal(file_of(wave(4_800, kind=0) * np.float32("nan"), 48_000)).reason == "AUDIO_UNREADABLE"


def test_a_file_that_is_too_long_is_refused_by_its_header() -> None:
    silence = file_of(np.zeros((601 * 8_000, 1), np.float32), 8_000, format="FLAC", subtype="PCM_16")

    assert refusal(silence).reason == "AUDIO_TOO_LONG"


def test_a_file_of_no_samples_is_refused() -> None:
    assert "no samples" in refusal(file_of(np.zeros((0, 2)), 48_000)).message


def test_a_header_that_claims_a_thousand_channels_is_refused_before_anything_is_decoded() -> None:
    bomb = bytearray(file_of(np.zeros((48_000, 1)), 384_000, subtype="PCM_U8"))
    channels, block_align = slice(22, 24), slice(32, 34)
    bomb[channels] = bomb[block_align] = (1_000).to_bytes(2, "little")

    assert "at most 32 channels; received 1000" in refusal(bytes(bomb)).message


@pytest.mark.parametrize("container", ["MAT5", "NIST", "VOC"])
def test_formats_that_nobody_has_never_reach_their_parsers(container: str) -> None:
    old = file_of(wave(4_800, kind=0), 44_100, format=container, subtype="PCM_16")

    assert "a file of another kind" in refusal(old).message


def test_an_odd_rate_is_refused() -> None:
    assert "sample rate" in refusal(file_of(wave(4_800, kind=0), 2_000)).message
