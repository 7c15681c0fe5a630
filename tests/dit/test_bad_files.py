"""What becomes of files that are no good, or good but strange: named one by one, over a socket."""

import io

import numpy as np
import pytest
import soundfile

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import Kind
from dit_service.engine import SourceSound
from tests.dit.conftest import DitConnector
from tests.dit.fakes import FakeEngine
from tests.dit.golden import wave
from tests.dit.test_encode_decode import chunks, header, refused, upload
from tests.dit.test_files import REPAINT, source
from tests.dit.test_render import events_of, job, refusal, requests

MAX_BYTES = 32 * 1024 * 1024
SECOND = wave(48_000, kind=0)


def encoded(sound: np.ndarray, rate: int = 48_000, container: str = "WAV", subtype: str = "FLOAT") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def with_sample(value: float) -> np.ndarray:
    sound = SECOND.copy()
    sound[1000, 1] = value
    return sound


def long_flac(hours: int) -> bytes:
    """Silence compresses well: an hour of it has 60 kB."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(hours * 60):
            file.write(np.zeros(8_000 * 60, np.float32))
    return buffer.getvalue()


BAD = {
    "empty": (b"", "FIELD_INVALID"),
    "text renamed to .wav": (b"Dear diary, today I made a song.\n" * 99, "AUDIO_UNREADABLE"),
    "a header alone": (encoded(SECOND[:0]), "AUDIO_UNREADABLE"),
    "truncated flac": (encoded(SECOND, container="FLAC", subtype="PCM_16")[:20_000], "AUDIO_UNREADABLE"),
    "three hours": (long_flac(3), "AUDIO_TOO_LONG"),
    "NaN samples": (encoded(with_sample(np.nan)), "AUDIO_UNREADABLE"),
    "infinite samples": (encoded(with_sample(np.inf)), "AUDIO_UNREADABLE"),
    "negative infinity": (encoded(with_sample(-np.inf)), "AUDIO_UNREADABLE"),
    "beyond float32": (
        encoded(with_sample(1).astype("f8") * 1e300, subtype="DOUBLE"),
        "AUDIO_UNREADABLE",
    ),
    "digital silence": (encoded(SECOND * 0), "AUDIO_SILENT"),
    "1 kHz": (encoded(SECOND, 1_000), "AUDIO_UNREADABLE"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_file_is_refused_with_its_field_and_reason(connect: DitConnector, name: str) -> None:
    data, reason = BAD[name]
    engine = FakeEngine()
    async with connect(engine, max_upload_bytes=MAX_BYTES) as dit:
        rendered = await refusal(dit.Render(requests(job(**REPAINT), *source(data))))
        read = await refused(dit, header(), *chunks(data))

    assert rendered.kind is read.kind is Kind.INVALID
    assert rendered.reason == read.reason == reason
    assert (rendered.violations[0].field, read.violations[0].field) == ("source_audio", "audio")
    assert not engine.jobs


def tone(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * 440 * times)[:, None], channels, axis=1)


EIGHT = tone(1, 96_000, 8) * np.array([1, 0.5, 0, 0, 0, 0, 0, 0])
GOOD = {
    "one sample": (encoded(np.full((1, 2), 0.5)), 1, 0.5),
    "96 kHz, 8 channels": (encoded(EIGHT, 96_000), 48_000, 0.5),
    "8 kHz": (encoded(tone(1, 8_000), 8_000), 48_000, 0.5),
    "44.1 kHz": (encoded(tone(1, 44_100), 44_100), 48_000, 0.5),
    "an odd rate": (encoded(tone(1, 12_347), 12_347), 48_000, 0.5),
    "mono": (encoded(tone(1, 48_000, 1)), 48_000, 0.5),
    "8 bit": (encoded(tone(1, 48_000), subtype="PCM_U8"), 48_000, 0.5),
    "24 bit": (encoded(tone(1, 48_000), subtype="PCM_24"), 48_000, 0.5),
    "a constant": (encoded(np.full((48_000, 2), 0.25)), 48_000, 0.25),
    "too loud": (encoded(tone(1, 48_000) * 9), 48_000, 1.0),
    "a wav cut off": (encoded(tone(2, 48_000))[: 80 + 48_000 * 8], 48_000, 0.5),
    "ogg vorbis": (encoded(tone(1, 48_000), container="OGG", subtype="VORBIS"), 48_000, 0.5),
}


@pytest.mark.parametrize("name", GOOD)
async def test_a_strange_file_is_heard_as_it_sounds(connect: DitConnector, name: str) -> None:
    data, samples, peak = GOOD[name]
    engine = FakeEngine()
    async with connect(engine, max_upload_bytes=MAX_BYTES) as dit:
        events = await events_of(dit.Render(requests(job(**REPAINT), *source(data))))
        codes = await dit.EncodeAudio(upload(header(), *chunks(data)))

    assert events[-1].HasField("result")
    heard = engine.jobs[0].source
    assert isinstance(heard, SourceSound)
    assert heard.waveform.shape[1] == 2
    assert len(heard.waveform) == pytest.approx(samples, abs=20)
    assert np.abs(heard.waveform).max() == pytest.approx(peak, abs=0.02)
    assert codes.duration_seconds == pytest.approx(samples / 48_000, abs=1e-3)


async def test_of_eight_channels_the_first_two_are_left_and_right(connect: DitConnector) -> None:
    engine = FakeEngine()
    async with connect(engine, max_upload_bytes=MAX_BYTES) as dit:
        await events_of(dit.Render(requests(job(**REPAINT), *source(GOOD["96 kHz, 8 channels"][0]))))

    heard = engine.jobs[0].source
    assert isinstance(heard, SourceSound)
    np.testing.assert_allclose(heard.waveform[:, 1], heard.waveform[:, 0] / 2, atol=1e-5)


async def test_a_bad_reference_is_named_as_the_reference(connect: DitConnector) -> None:
    order = job(has_reference_audio=True)
    chunk = music_pb2.FileChunk(data=BAD["NaN samples"][0])
    async with connect(FakeEngine()) as dit:
        error = await refusal(dit.Render(requests(order, pb.RenderRequest(reference_audio=chunk))))

    assert (error.reason, error.violations[0].field) == ("AUDIO_UNREADABLE", "reference_audio")
