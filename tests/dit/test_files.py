"""The files of a render: what is announced, in which order it comes, and what becomes of it."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import Kind
from dit_service.engine import SourceSound, Waveform
from dit_service.reference import excerpt
from tests.dit.conftest import DitConnector
from tests.dit.fakes import FakeEngine
from tests.dit.golden import wave
from tests.dit.test_render import events_of, job, names_of, refusal, requests

CHUNK_BYTES = 256 * 1024
SOUND = wave(288_777, kind=0)
REPAINT = {"task": music_pb2.TASK_REPAINT, "has_source_audio": True}


def file(sound: Waveform, rate: int = 48_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def reference(data: bytes) -> pb.RenderRequest:
    return pb.RenderRequest(reference_audio=music_pb2.FileChunk(data=data))


def source(data: bytes) -> list[pb.RenderRequest]:
    pieces = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)] or [b""]
    return [pb.RenderRequest(source_audio=music_pb2.FileChunk(data=piece)) for piece in pieces]


def region(start: float, end: float) -> music_pb2.RepaintParams:
    return music_pb2.RepaintParams(regions=[music_pb2.Region(start_seconds=start, end_seconds=end)])


def song_of(events: list[pb.RenderResponse]) -> Waveform:
    pieces = (event.audio.samples for event in events if event.HasField("audio"))
    return np.frombuffer(b"".join(pieces), "<f4").reshape(-1, 2)


async def test_an_announced_reference_reaches_the_engine(connect: DitConnector) -> None:
    engine = FakeEngine()
    sound = wave(48_000, kind=0)
    data = file(sound)
    pieces = [reference(data[:100_000]), reference(data[100_000:])]
    async with connect(engine) as dit:
        events = await events_of(dit.Render(requests(job(has_reference_audio=True), *pieces)))

    assert events[-1].HasField("result")
    heard = engine.jobs[0].reference
    assert heard is not None
    np.testing.assert_array_equal(heard, np.tile(sound, (30, 1)))


async def test_of_a_long_reference_a_waiting_job_keeps_no_more_than_is_heard(connect: DitConnector) -> None:
    engine = FakeEngine()
    data = file(wave(90 * 8_000, kind=0), rate=8_000)
    pieces = [reference(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)]
    async with connect(engine, max_upload_bytes=len(data)) as dit:
        await events_of(dit.Render(requests(job(has_reference_audio=True), *pieces)))

    heard = engine.jobs[0].reference
    assert heard is not None
    assert heard.shape == (30 * 48_000, 2)
    assert heard.base is None, "a view would keep all of it"


async def test_an_announced_reference_must_come_and_be_sound(connect: DitConnector) -> None:
    order = job(has_reference_audio=True)
    async with connect(FakeEngine()) as dit:
        missing = await refusal(dit.Render(requests(order)))
        broken = await refusal(dit.Render(requests(order, reference(b"no sound"))))

    assert missing.violations[0].field == broken.violations[0].field == "reference_audio"


async def test_source_and_reference_come_one_after_the_other(connect: DitConnector) -> None:
    engine, heard = FakeEngine(), wave(48_000, kind=1)
    order = job(has_reference_audio=True, **REPAINT)
    files = [*source(file(SOUND)), reference(file(heard))]
    async with connect(engine) as dit:
        events = await events_of(dit.Render(requests(order, *files)))

    assert isinstance(engine.jobs[0].source, SourceSound)
    np.testing.assert_array_equal(engine.jobs[0].source.waveform, SOUND)
    np.testing.assert_array_equal(engine.jobs[0].reference, excerpt(heard))
    assert events[0].started.duration_seconds == 6.0


async def test_files_out_of_order_are_refused(connect: DitConnector) -> None:
    order, sound = job(has_reference_audio=True, **REPAINT), b"RIFF"
    async with connect(FakeEngine()) as dit:
        swapped = await refusal(dit.Render(requests(order, reference(sound), *source(sound))))
        unannounced = await refusal(dit.Render(requests(job(**REPAINT), *source(sound), reference(sound))))

    assert swapped.violations[0].field == "reference_audio"
    assert unannounced.violations[0].field == "source_audio"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (file(np.zeros((48_000, 2), np.float32)), "AUDIO_SILENT"),
        (b"no sound", "AUDIO_UNREADABLE"),
        (b"", "FIELD_INVALID"),
    ],
)
async def test_a_source_must_be_sound(connect: DitConnector, data: bytes, reason: str) -> None:
    engine = FakeEngine()
    async with connect(engine) as dit:
        error = await refusal(dit.Render(requests(job(**REPAINT), *source(data))))

    assert (error.kind, error.reason) == (Kind.INVALID, reason)
    assert error.violations[0].field == "source_audio"
    assert not engine.jobs


async def test_regions_that_do_not_fit_the_source_are_refused(connect: DitConnector) -> None:
    regions = music_pb2.RepaintParams(regions=[music_pb2.Region(start_seconds=7)])
    async with connect(FakeEngine()) as dit:
        error = await refusal(dit.Render(requests(job(repaint=regions, **REPAINT), *source(file(SOUND)))))

    assert error.violations[0].field == "job.repaint.regions[0].start_seconds"


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_a_repaint_sends_the_sources_own_samples_outside_its_regions(
    connect: DitConnector, rate: int
) -> None:
    sent = soxr.resample(SOUND, rate, 48_000)
    order = job(repaint=region(2.0, 3.0), **REPAINT)
    engine = FakeEngine()
    async with connect(engine) as dit:
        events = await events_of(dit.Render(requests(order, *source(file(SOUND, rate)))))

    song, ramp = song_of(events), 1200
    kept = np.r_[0 : 96_000 - ramp, 144_000 + ramp : len(song)]
    assert isinstance(engine.jobs[0].source, SourceSound)
    np.testing.assert_array_equal(song[kept], engine.jobs[0].source.waveform[kept])
    np.testing.assert_allclose(song[kept], sent[kept], atol=1e-3)
    assert np.abs(song[96_000:144_000] - sent[96_000:144_000]).max() > 0.1
    assert events[-1].result.peak_before_normalization == pytest.approx(np.abs(song).max())


async def test_normalisation_that_is_asked_for_scales_what_is_kept_too(connect: DitConnector) -> None:
    order = job(repaint=region(2.0, 3.0), finish=pb.Finish(enable_normalization=True), **REPAINT)
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(order, *source(file(SOUND)))))

    song = song_of(events)
    assert np.abs(song).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    gain = np.abs(song).max() / events[-1].result.peak_before_normalization
    np.testing.assert_allclose(song[:90_000], SOUND[:90_000] * gain, rtol=1e-5)


async def test_a_job_whose_source_is_still_to_come_can_be_checked(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(job(validate_only=True, **REPAINT))))

    assert names_of(events) == ["started"]
    assert events[0].started.duration_seconds == 0
