"""`MusicService.GenerateMusic`, seen from the client's side of the wire."""

import asyncio
import io
from itertools import groupby
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile

from acestep.client import Client
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep.songs import SongCollector, SongFile
from common.errors import AceError, Kind, invalid
from gateway.metrics import SONGS
from tests.gateway.conftest import World, opened_world
from tests.gateway.fakes import FakeLm


def song_request(*, seeds: tuple[int, ...] = (1,), **fields: Any) -> pb.GenerateMusicRequest:
    request = pb.GenerateMusicRequest(caption="my caption", lyrics="my lyrics", duration_seconds=10.0)
    request.MergeFrom(pb.GenerateMusicRequest(**fields))
    request.batch.batch_size = len(seeds)
    request.batch.seeds.extend(seeds)
    return request


async def events_of(client: Client, request: pb.GenerateMusicRequest) -> list[pb.GenerateMusicResponse]:
    return [event async for event in client.generate(request, timeout_s=30)]


async def songs_of(client: Client, request: pb.GenerateMusicRequest) -> list[SongFile]:
    collector = SongCollector()
    async for event in client.generate(request, timeout_s=30):
        collector.add(event)
    return sorted(collector.files, key=lambda file: file.song.song_index)


async def test_a_song_is_accepted_planned_made_and_sent_in_that_order(world: World) -> None:
    events = await events_of(world.client, song_request())

    kinds = [kind for kind, _ in groupby(event.WhichOneof("event") for event in events)]
    assert kinds == [
        "accepted", "queued", "progress", "plan_field", "plan", "progress",
        "audio_start", "audio", "song", "result",
    ]  # fmt: skip


async def test_progress_never_falls_and_ends_at_one(world: World) -> None:
    events = await events_of(world.client, song_request(seeds=(1, 2, 3)))

    fractions = [event.progress.fraction for event in events if event.HasField("progress")]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


async def test_the_result_says_what_was_made_with_what(world: World) -> None:
    events = await events_of(world.client, song_request(seeds=(41,)))

    accepted, result = events[0].accepted, events[-1].result
    song = next(event.song for event in events if event.HasField("song"))
    assert accepted.seeds[0] == pb.Seeds(lm_seed=41, dit_seed=41)
    assert accepted.effective.model == "dit-fake"
    assert accepted.effective.lm_model == "lm-fake"
    assert accepted.effective.diffusion.inference_steps == 8
    assert (song.requested_duration_seconds, song.actual_duration_seconds) == (10.0, 10.0)
    assert len(song.audio_codes) == 50
    assert result.succeeded_count == 1
    assert result.plan.duration_source == pb.DURATION_SOURCE_REQUEST
    assert (result.dit_model.name, result.lm_model.name) == ("dit-fake", "lm-fake")
    assert {
        "lm_phase1_time", "lm_phase2_time", "lm_total_time", "dit_total_time_cost", "pipeline_total_time",
    } <= set(result.timings)  # fmt: skip
    assert result.timings["lm_total_time"] == 3.0
    assert result.timings["dit_total_time_cost"] == pytest.approx(1.2)


async def test_the_language_model_gets_the_given_caption_and_the_diffusion_the_planned_one(
    world: World,
) -> None:
    await songs_of(world.client, song_request())

    plan, codes = world.lm.requests
    assert plan.caption == codes.caption == "my caption"
    assert codes.metadata.caption == "LM caption."
    assert world.dit.jobs[0].metadata.caption == "LM caption."
    assert world.dit.jobs[0].metadata.language == "en"


async def test_without_thinking_the_diffusion_works_from_the_plan_alone(world: World) -> None:
    request = song_request()
    request.lm.thinking = False

    (song,) = await songs_of(world.client, request)

    assert len(world.lm.requests) == 1
    assert not world.dit.jobs[0].audio_codes
    assert song.song.actual_duration_seconds == 10.0


async def test_given_codes_are_followed_and_decide_the_length(world: World) -> None:
    events = await events_of(world.client, song_request(audio_codes=[1, 2, 3] * 25))

    assert list(world.dit.jobs[0].audio_codes) == [1, 2, 3] * 25
    assert list(events[0].accepted.warnings) == ["the song gets the length of its codes"]
    assert events[-1].result.plan.duration_source == pb.DURATION_SOURCE_AUDIO_CODES


async def test_each_song_of_a_batch_has_its_own_seeds_and_the_plan_is_made_once(world: World) -> None:
    request = song_request(seeds=(5, 6))
    request.batch.dit_seeds.append(9)

    first, second = await songs_of(world.client, request)

    assert [type(request).__name__ for request in world.lm.requests] == [
        "PlanRequest", "GenerateCodesRequest", "GenerateCodesRequest",
    ]  # fmt: skip
    assert (first.song.seeds.lm_seed, first.song.seeds.dit_seed) == (5, 9)
    assert (second.song.seeds.lm_seed, second.song.seeds.dit_seed) == (6, 6)
    assert first.data != second.data


class HoldingLm(FakeLm):
    """Never comes to an end with the codes of one seed, until it may."""

    def __init__(self, held_seed: int) -> None:
        super().__init__()
        self.held_seed = held_seed
        self.may_go_on = asyncio.Event()

    async def _work(self, request: Any, context: Any) -> None:
        await super()._work(request, context)
        if request.sampling.seed == self.held_seed:
            await self.may_go_on.wait()


async def test_a_song_of_a_batch_is_made_as_soon_as_its_own_codes_are_written(tmp_path: Path) -> None:
    lm, collector = HoldingLm(held_seed=2), SongCollector()
    request = song_request(seeds=(1, 2, 3), bpm=100, keyscale="C major", timesignature="4")

    async with opened_world(tmp_path, lm=lm) as world:
        events = world.client.generate(request)
        async for event in events:
            collector.add(event)
            if len(collector.files) == 2:
                break
        finished_early = {file.song.song_index for file in collector.files}
        lm.may_go_on.set()
        async for event in events:
            collector.add(event)

    assert finished_early == {0, 2}
    assert len(collector.files) == 3


async def test_files_of_a_batch_do_not_interleave(world: World) -> None:
    events = await events_of(world.client, song_request(seeds=(1, 2, 3, 4)))

    chunks = [event.audio.song_index for event in events if event.HasField("audio")]
    assert len([song for song, _ in groupby(chunks)]) == 4


@pytest.mark.parametrize(
    ("audio_format", "container", "subtype"),
    [
        (music_pb2.AUDIO_FORMAT_FLAC, "FLAC", "PCM_16"),
        (music_pb2.AUDIO_FORMAT_WAV, "WAV", "PCM_16"),
        (music_pb2.AUDIO_FORMAT_MP3, "MP3", "MPEG_LAYER_III"),
        (music_pb2.AUDIO_FORMAT_WAV32, "WAV", "FLOAT"),
    ],
)
async def test_the_file_is_what_was_asked_for(
    world: World, audio_format: music_pb2.AudioFormat, container: str, subtype: str
) -> None:
    (song,) = await songs_of(world.client, song_request(output=pb.OutputParams(audio_format=audio_format)))

    file = soundfile.SoundFile(io.BytesIO(song.data))
    assert (file.format, file.subtype, file.samplerate, file.channels) == (container, subtype, 48_000, 2)
    assert file.frames == 480_000


async def test_the_bit_rate_of_an_mp3_is_the_one_asked_for(world: World) -> None:
    for rate in (128_000, 320_000):
        output = pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_MP3, mp3_bits_per_second=rate)

        (song,) = await songs_of(world.client, song_request(output=output))

        assert len(song.data) * 8 / 10.0 == pytest.approx(rate, rel=0.02)


async def test_a_float_file_holds_the_very_samples_of_the_render(world: World) -> None:
    output = pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_WAV32)

    (song,) = await songs_of(world.client, song_request(seeds=(3,), output=output))

    samples, _ = soundfile.read(io.BytesIO(song.data), dtype="float32")
    expected = np.random.default_rng(3).uniform(-0.5, 0.5, (480_000, 2)).astype(np.float32)
    assert np.array_equal(samples, expected)


async def test_cancelling_while_codes_are_written_cancels_the_language_model(world: World) -> None:
    world.lm.gate.close()
    reader = asyncio.create_task(songs_of(world.client, song_request()))
    await world.lm.gate.waiting.wait()

    reader.cancel()

    async with asyncio.timeout(5):
        await world.lm.cancelled.wait()
    assert not world.dit.jobs


async def test_songs_that_are_given_up_count_as_cancelled_and_not_as_failed(world: World) -> None:
    def counted() -> dict[str, float]:
        samples = [sample for metric in SONGS.collect() for sample in metric.samples]
        return {sample.labels["code"]: sample.value for sample in samples if sample.name.endswith("_total")}

    before = counted()
    world.dit.gate.close()
    reader = asyncio.create_task(events_of(world.client, song_request(seeds=(1, 2))))
    async with asyncio.timeout(10):
        while len(world.dit.jobs) < 2:
            await asyncio.sleep(0.01)

    reader.cancel()

    async with asyncio.timeout(10):
        while (after := counted()).get("CANCELLED", 0) < before.get("CANCELLED", 0) + 2:
            await asyncio.sleep(0.01)
    assert after | {"CANCELLED": 0} == before | {"CANCELLED": 0}


async def test_cancelling_while_it_renders_cancels_every_render(world: World) -> None:
    world.dit.gate.close()
    reader = asyncio.create_task(songs_of(world.client, song_request(seeds=(1, 2))))
    async with asyncio.timeout(10):
        while len(world.dit.jobs) < 2:
            await world.client.capabilities()

        reader.cancel()

        while world.dit.cancelled_seeds != {1, 2}:
            await world.client.capabilities()
    world.dit.gate.open()
    assert await songs_of(world.client, song_request())


async def test_a_deadline_is_passed_on_and_ends_the_work(world: World) -> None:
    world.dit.gate.close()

    with pytest.raises(ServiceError) as caught:
        async for _ in world.client.generate(song_request(), timeout_s=2.0):
            pass

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        await world.dit.cancelled.wait()


async def test_one_failed_song_does_not_fail_the_others(world: World) -> None:
    world.dit.failures[2] = AceError(Kind.OVERLOADED, "OUT_OF_MEMORY", "no room for 600 s")

    first, second = await songs_of(world.client, song_request(seeds=(1, 2)))

    assert first.data
    assert second.song.error.reason == "OUT_OF_MEMORY"
    assert second.song.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def test_if_every_song_fails_the_call_fails_with_the_reason(world: World) -> None:
    full = AceError(Kind.OVERLOADED, "QUEUE_FULL", "4 jobs wait", retry_after_s=7.0, queued=4)
    world.dit.failures[1] = full

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request())

    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUEUE_FULL",
    )
    assert (caught.value.retry_after_s, caught.value.facts) == (7.0, {"queued": "4"})


async def test_a_field_that_a_stage_refuses_late_is_named_as_the_caller_knows_it(world: World) -> None:
    world.lm.failure = invalid("sampling.temperature", "must be lower", 1.5, "PROMPT_TOO_LONG")

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(bpm=100, keyscale="C major", timesignature="4"))

    assert caught.value.reason == "PROMPT_TOO_LONG"
    assert [(item.field, item.value) for item in caught.value.violations] == [
        ("lm.sampling.temperature", "1.5")
    ]


async def test_an_upload_that_vanishes_while_its_song_waits_ends_the_call(
    world: World, tmp_path: Path
) -> None:
    audio = tmp_path / "reference.wav"
    soundfile.write(audio, np.zeros(48_000), 48_000)
    audio_id = (await world.client.upload(audio)).audio_id
    world.lm.gate.close()
    waiting = asyncio.create_task(songs_of(world.client, song_request(reference_audio_id=audio_id)))
    await world.lm.gate.waiting.wait()

    next(tmp_path.rglob(audio_id)).unlink()
    world.lm.gate.open()

    with pytest.raises(ServiceError) as caught:
        await waiting
    assert caught.value.reason == "REQUEST_BROKE_OFF"


async def test_warnings_of_the_render_come_with_the_song(world: World) -> None:
    (song,) = await songs_of(world.client, song_request())

    assert list(song.song.warnings) == ["the song gets the length of its codes"]


async def test_a_stage_that_breaks_is_named_and_tells_nothing_else(world: World) -> None:
    world.lm.failure = AceError(Kind.INTERNAL, "INTERNAL", "KeyError in /srv/lm.py")

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request())

    assert (caught.value.code, caught.value.message) == (
        grpc.StatusCode.INTERNAL,
        "the lm stage failed",
    )


async def test_more_songs_than_there_is_room_for_are_refused_with_a_time_to_retry(world: World) -> None:
    world.lm.gate.close()
    running = asyncio.create_task(songs_of(world.client, song_request(seeds=(1, 2, 3, 4, 5))))
    await world.lm.gate.waiting.wait()

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(seeds=(1, 2, 3, 4)))
    world.lm.gate.open()

    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "GATEWAY_FULL",
    )
    assert caught.value.retry_after_s == 5.0
    assert len(await running) == 5


async def test_a_song_that_needs_no_language_model_is_made_while_it_is_down(world: World) -> None:
    world.lm_server.refuse()
    async with asyncio.timeout(10):
        while (await world.client.capabilities()).lm_models:
            pass
    request = song_request(bpm=100, keyscale="C major", timesignature="4")

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, request)
    request.lm.thinking = False
    (song,) = await songs_of(world.client, request)

    assert (caught.value.code, caught.value.facts["stage"]) == (grpc.StatusCode.UNAVAILABLE, "lm")
    assert song.data
