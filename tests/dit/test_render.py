"""`DitService.Render`, seen from the client's side of the wire."""

from collections.abc import AsyncIterator, Generator

import grpc
import numpy as np
import pytest
from prometheus_client import REGISTRY

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.music import SONG_CHUNK_BYTES
from common.status import from_rpc_error
from dit_service import memory
from dit_service.due import Due
from dit_service.engine import Piece, Progress, RenderJob, Song
from dit_service.loudness import measure
from tests.dit.conftest import DitConnector
from tests.dit.fakes import BrokenEngine, FakeEngine, FullEngine

Call = grpc.aio.StreamStreamCall[pb.RenderRequest, pb.RenderResponse]


def job(seed: int | None = 7, duration_s: float = 10.0, **fields: object) -> pb.RenderJob:
    metadata = music_pb2.SongMetadata(caption="slow piano", duration_seconds=duration_s)
    return pb.RenderJob(**{"metadata": metadata, "seed": seed} | fields)  # type: ignore[arg-type]


async def requests(order: pb.RenderJob, *later: pb.RenderRequest) -> AsyncIterator[pb.RenderRequest]:
    yield pb.RenderRequest(job=order)
    for request in later:
        yield request


async def events_of(call: AsyncIterator[pb.RenderResponse]) -> list[pb.RenderResponse]:
    return [event async for event in call]


def names_of(events: list[pb.RenderResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


async def next_of(call: AsyncIterator[pb.RenderResponse], name: str) -> pb.RenderResponse:
    async for event in call:
        if event.WhichOneof("event") == name:
            return event
    raise AssertionError(f"the stream ended without {name}")


async def refusal(call: AsyncIterator[pb.RenderResponse]) -> AceError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await events_of(call)
    return from_rpc_error(caught.value)


async def test_a_render_tells_its_steps_then_sends_the_whole_song(connect: DitConnector) -> None:
    async with connect(FakeEngine(step_count=3)) as dit:
        events = await events_of(dit.Render(requests(job())))

    pieces = [event.audio for event in events if event.HasField("audio")]
    assert names_of(events) == ["started", *["progress"] * 3, *["audio"] * len(pieces), "result"]
    assert {len(piece.samples) for piece in pieces[:-1]} == {SONG_CHUNK_BYTES}
    assert len(pieces[-1].samples) <= SONG_CHUNK_BYTES
    assert {(piece.sample_rate_hertz, piece.channel_count) for piece in pieces} == {(48_000, 2)}
    samples = np.frombuffer(b"".join(piece.samples for piece in pieces), "<f4")
    assert samples.size == 10 * 48_000 * 2
    assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    result = events[-1].result
    assert result.sample_count == 10 * 48_000
    assert result.peak_before_normalization == pytest.approx(0.5, abs=1e-3)
    assert not result.silent
    measured = measure(samples.reshape(-1, 2))
    assert result.loudness.integrated_lufs == pytest.approx(measured.integrated_lufs)
    assert result.loudness.true_peak_dbtp == pytest.approx(measured.true_peak_dbtp)
    assert not result.HasField("latents")
    assert set(result.timings) == {"queue", "conditioning", "diffusion", "decoding"}


async def test_started_says_all_that_makes_the_song_again(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(job(seed=None))))
        started = events[0].started
        again = await events_of(dit.Render(requests(job(seed=started.seed, diffusion=started.diffusion))))

    assert started.model == music_pb2.ModelVersion(name="acestep-v15-turbo", revision="r1")
    assert started.duration_seconds == 10.0
    used = {field.name for field, _ in started.diffusion.ListFields()}
    off = {"timesteps", "dcw_mode", "dcw_scaler", "dcw_high_scaler", "retake_seed", "retake_variance"}
    assert used == {field.name for field in started.diffusion.DESCRIPTOR.fields} - off
    sound = [event for event in events if event.HasField("audio")]
    assert sound == [event for event in again if event.HasField("audio")]


async def test_latents_come_along_if_asked_for(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(job(return_latents=True))))

    latents = events[-1].result.latents
    assert (latents.frame_count, latents.channel_count, len(latents.data)) == (250, 8, 250 * 8 * 4)


async def test_texts_that_are_too_long_for_the_model_are_told(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(job(lyrics="la " * 1365))))

    assert list(events[0].started.warnings) == ["the lyrics are cut"]


async def test_a_silent_song_is_told(connect: DitConnector) -> None:
    async with connect(FakeEngine(silent=True)) as dit:
        events = await events_of(dit.Render(requests(job())))

    result = events[-1].result
    assert result.silent
    assert not result.loudness.HasField("integrated_lufs")
    assert not result.loudness.HasField("true_peak_dbtp")


async def test_codes_decide_the_length(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        events = await events_of(dit.Render(requests(job(audio_codes=[1] * 60))))

    assert events[0].started.duration_seconds == 12.0
    assert "prompt says 10 s" in events[0].started.warnings[0]


async def test_a_job_must_come_first(connect: DitConnector) -> None:
    async def backwards() -> AsyncIterator[pb.RenderRequest]:
        yield pb.RenderRequest(reference_audio=music_pb2.FileChunk(data=b"no job yet"))

    async with connect(FakeEngine()) as dit:
        error = await refusal(dit.Render(backwards()))

    assert (error.kind, error.violations[0].field) == (Kind.INVALID, "job")


async def test_jobs_wait_in_line_and_hear_where_they_are(connect: DitConnector) -> None:
    engine = FakeEngine(step_count=1, paused=True)
    async with connect(engine) as dit:
        first = dit.Render(requests(job(seed=1)))
        await next_of(first, "started")
        second = dit.Render(requests(job(seed=2)))
        assert (await next_of(second, "queued")).queued.position == 0
        third = dit.Render(requests(job(seed=3)))
        assert (await next_of(third, "queued")).queued.position == 1
        engine.allow(1)
        await next_of(second, "started")
        assert (await next_of(third, "queued")).queued.position == 0
        engine.allow(2)
        assert (await events_of(third))[0].HasField("started")
        for call in (first, second):
            assert (await events_of(call))[-1].HasField("result")


async def test_a_job_that_finds_the_queue_full_is_refused_at_once(connect: DitConnector) -> None:
    engine = FakeEngine(paused=True)
    async with connect(engine, max_queued=1) as dit:
        running = dit.Render(requests(job()))
        await next_of(running, "started")  # before the next: calls made together come in any order
        waiting = dit.Render(requests(job()))
        await next_of(waiting, "queued")
        error = await refusal(dit.Render(requests(job())))
        engine.allow(6)

    assert (error.kind, error.reason) == (Kind.OVERLOADED, "QUEUE_FULL")
    assert error.retry_after_s is not None


async def test_a_waiting_job_that_is_cancelled_makes_room_at_once(connect: DitConnector) -> None:
    engine = FakeEngine(step_count=1, paused=True)
    async with connect(engine) as dit:
        running = dit.Render(requests(job(seed=1)))
        await next_of(running, "started")
        leaving = dit.Render(requests(job(seed=2)))
        await next_of(leaving, "queued")
        staying = dit.Render(requests(job(seed=3)))
        assert (await next_of(staying, "queued")).queued.position == 1
        leaving.cancel()
        assert (await next_of(staying, "queued")).queued.position == 0  # while the first still runs
        engine.allow(2)
        await events_of(staying)

    assert engine.steps_taken == {1: 1, 3: 1}


async def test_a_cancelled_render_stops_at_its_next_step(connect: DitConnector) -> None:
    engine = FakeEngine(step_count=3, paused=True)
    async with connect(engine) as dit:
        abandoned = dit.Render(requests(job(seed=1)))
        await next_of(abandoned, "started")  # it has the device, and waits in its first step
        following = dit.Render(requests(job(seed=2)))
        await next_of(following, "queued")
        before = cancellations("conditioning")
        abandoned.cancel()
        while cancellations("conditioning") == before:  # until the server has heard of it
            await dit.GetModelInfo(pb.GetModelInfoRequest())
        engine.allow(1 + 3)  # the step under way, and no more than the next render needs
        events = await events_of(following)

    assert events[-1].HasField("result")
    assert engine.steps_taken == {1: 1, 2: 3}
    assert engine.closed == {1: 1, 2: 1}
    assert len(engine.threads) == 1


def cancellations(phase: str) -> float:
    return REGISTRY.get_sample_value("acestep_dit_cancellations_total", {"phase": phase}) or 0.0


async def test_a_reader_that_stops_reading_does_not_hold_the_device(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        stalled = dit.Render(requests(job(seed=1, duration_s=120.0)))  # 46 MB: no buffer swallows that
        await next_of(stalled, "audio")
        events = await events_of(dit.Render(requests(job(seed=2))))
        stalled.cancel()

    assert events[-1].HasField("result")


async def test_calls_are_bounded_with_those_still_read(connect: DitConnector) -> None:
    async with connect(FakeEngine(), max_calls=1) as dit:
        stalled = dit.Render(requests(job(duration_s=120.0)))
        await next_of(stalled, "audio")
        error = await refusal(dit.Render(requests(job())))
        stalled.cancel()

    assert (error.kind, error.reason) == (Kind.OVERLOADED, "TOO_MANY_CALLS")


async def test_an_engine_crash_tells_the_client_nothing_and_the_next_job_runs(
    connect: DitConnector, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(BrokenEngine()) as dit:
        error = await refusal(dit.Render(requests(job())))
        events = await events_of(dit.Render(requests(job())))

    assert error.kind is Kind.INTERNAL
    assert "0x7f00" not in error.message
    assert "0x7f00" in caplog.text
    assert events[-1].HasField("result")


async def test_running_out_of_memory_is_told_and_survived(connect: DitConnector) -> None:
    async with connect(FullEngine()) as dit:
        error = await refusal(dit.Render(requests(job())))
        events = await events_of(dit.Render(requests(job())))

    assert (error.kind, error.reason) == (Kind.OVERLOADED, "OUT_OF_MEMORY")
    assert events[-1].HasField("result")


async def test_calls_are_told_to_come_back_while_the_models_load(connect: DitConnector) -> None:
    async with connect(None) as dit:
        error = await refusal(dit.Render(requests(job())))

    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "LOADING")


async def test_metrics_say_whether_the_device_works(connect: DitConnector) -> None:
    def measured(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"acestep_dit_{name}")

    seen = []

    class Measuring(FakeEngine):
        def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
            seen.append((measured("device_busy"), measured("renders_running")))
            yield from super().render(job)

    before = measured("real_time_factor_count") or 0
    async with connect(Measuring()) as dit:
        await events_of(dit.Render(requests(job())))

    assert seen == [(1, 1)]
    assert (measured("device_busy"), measured("renders_running")) == (0, 0)
    assert measured("real_time_factor_count") == before + 1


async def test_captions_and_lyrics_are_never_logged(
    connect: DitConnector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with connect(FakeEngine()) as dit:
        await events_of(dit.Render(requests(job(lyrics="my secret song"))))

    assert "secret" not in caplog.text
    assert "slow piano" not in caplog.text


async def test_a_job_that_is_only_checked_is_not_rendered(connect: DitConnector) -> None:
    engine = FakeEngine()
    async with connect(engine) as dit:
        checked = await events_of(dit.Render(requests(job(validate_only=True))))
        error = await refusal(dit.Render(requests(job(duration_s=5.0, validate_only=True))))

    assert names_of(checked) == ["started"]
    assert checked[0].started.diffusion.HasField("shift")
    assert error.kind is Kind.INVALID
    assert not engine.steps_taken


class SmallEngine(FakeEngine):
    """Has memory for ten seconds of song."""

    def share(self, job: RenderJob) -> float:
        return memory.share(needed=int(job.duration_s), available=10)


@pytest.mark.parametrize("validate_only", [True, False])
async def test_a_song_that_will_never_fit_is_refused_before_anything_is_done_for_it(
    connect: DitConnector, validate_only: bool
) -> None:
    async with connect(SmallEngine()) as dit:
        fits = await events_of(dit.Render(requests(job(duration_s=10.0, validate_only=validate_only))))
        error = await refusal(dit.Render(requests(job(duration_s=30.0, validate_only=validate_only))))

    assert "started" in names_of(fits)
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "SONG_TOO_LARGE")
    assert error.facts["field"] == "duration_seconds"
    assert error.retry_after_s is None
