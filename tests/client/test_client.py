"""The native client, in both its forms, against the real gateway over fake stages."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile

from acestep.client import Samples, ServiceError, Songs, SyncClient, connect, connect_sync
from acestep.errors import LOST_BY_GRPC
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.server import serving
from tests.gateway.conftest import World, world
from tests.gateway.test_generate import song_request

__all__ = ["world"]  # the fixture of the gateway's tests


async def in_thread(world: World, use: Callable[[SyncClient], Any], **options: Any) -> Any:
    """What `use` returns, called with a blocking client in a thread of its own."""

    def work() -> Any:
        with connect_sync(world.address, **options) as client:
            return use(client)

    return await asyncio.to_thread(work)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.sin(np.arange(48_000) / 20), 48_000)
    return path


async def test_a_generation_can_be_awaited(world: World) -> None:
    songs = await world.client.generate(song_request(seeds=(3, 4)))

    assert [file.song.seeds.dit_seed for file in songs.files] == [3, 4]
    assert songs.files[0].samples().shape == (2, 480_000)
    assert songs.accepted.effective.model == "dit-fake"
    assert songs.plan.metadata.bpm == 120
    assert songs.result.succeeded_count == 2


async def test_both_clients_get_the_same_songs(world: World) -> None:
    awaited = await world.client.generate(song_request(seeds=(3,)))

    waited: Songs = await in_thread(
        world, lambda client: client.generate(song_request(seeds=(3,))).result()
    )

    assert waited.files[0].data == awaited.files[0].data


async def test_a_blocking_client_hands_out_events_as_they_come(world: World) -> None:
    kinds = await in_thread(
        world, lambda client: [event.WhichOneof("event") for event in client.generate(song_request())]
    )

    assert (kinds[0], kinds[-1]) == ("accepted", "result")
    assert {"plan", "progress", "audio", "song"} <= set(kinds)


async def test_a_blocking_client_serves_several_threads_at_once(world: World) -> None:
    with connect_sync(world.address) as client:
        songs = await asyncio.gather(
            *(asyncio.to_thread(client.generate(song_request(seeds=(seed,))).result) for seed in range(4))
        )

    assert [each.files[0].song.seeds.dit_seed for each in songs] == [0, 1, 2, 3]


async def test_a_blocking_stream_that_is_closed_cancels_the_work(world: World) -> None:
    world.dit.gate.close()
    enough, told = threading.Event(), threading.Event()

    def leave(client: SyncClient) -> None:
        with closing(client.generate(song_request())) as events:
            next(events)
            enough.wait(20)
        told.wait(20)  # the channel is still open: it is the stream that was closed

    leaving = asyncio.create_task(in_thread(world, leave))
    await world.dit.gate.waiting.wait()

    enough.set()

    await asyncio.wait_for(world.dit.cancelled.wait(), 10)
    told.set()
    await leaving


async def test_a_stream_that_is_closed_before_it_is_read_asks_nothing_of_the_server(world: World) -> None:
    await world.client.create(pb.CreateSampleRequest(query="x")).aclose()
    left = world.client.create(pb.CreateSampleRequest(query="x"))
    await left.aclose()

    def blocking(client: SyncClient) -> None:
        left = client.create(pb.CreateSampleRequest(query="x"))
        left.close()
        client.format(pb.FormatSampleRequest(caption="asked")).result()

    await in_thread(world, blocking)
    await world.client.format(pb.FormatSampleRequest(caption="asked"))

    assert [type(request).__name__ for request in world.lm.requests] == 2 * ["FormatSampleRequest"]


async def test_audio_in_memory_is_a_source_as_good_as_a_file(world: World, tone: Path) -> None:
    samples, rate = soundfile.read(tone, dtype="float32")
    array = Samples(samples, rate)

    from_file = await world.client.understand(audio=tone)
    from_array = await world.client.understand(audio=array)

    assert len(from_file.audio_codes) == len(from_array.audio_codes) == 2
    assert from_array.description.metadata.keyscale == "F# minor"


async def test_a_reference_is_uploaded_with_the_request(world: World, tone: Path) -> None:
    await world.client.generate(song_request(), reference=tone)

    assert world.dit.reference_bytes == tone.stat().st_size


async def test_codes_are_described_and_none_at_all_ask_for_an_example(world: World) -> None:
    heard = await world.client.understand(codes=[1, 2])
    invented = await world.client.understand(codes=[])

    assert list(heard.audio_codes) == [1, 2]
    assert list(invented.audio_codes) == []
    assert [list(request.audio_codes) for request in world.lm.requests] == [[1, 2], []]


async def test_samples_of_a_strange_shape_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="channels, samples"):
        await world.client.understand(audio=Samples(np.zeros((1, 2, 3)), 48_000))


async def test_samples_and_formats_are_texts(world: World) -> None:
    sample = await world.client.create(pb.CreateSampleRequest(query="a song"))
    form: pb.FormatSampleResponse.Result = await in_thread(
        world, lambda client: client.format(pb.FormatSampleRequest(lyrics="la")).result()
    )

    assert sample.description.instrumental
    assert form.description.lyrics == "la"


async def test_capabilities_name_the_models(world: World) -> None:
    offered: pb.GetCapabilitiesResponse = await in_thread(world, lambda client: client.capabilities())

    assert [model.model.name for model in offered.dit_models] == ["dit-fake"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_refused_request_names_its_fields(world: World, blocking: bool) -> None:
    request = song_request(bpm=10, vocal_language="xx")

    with pytest.raises(ServiceError) as caught:
        if blocking:
            await in_thread(world, lambda client: client.generate(request).result())
        else:
            await world.client.generate(request)

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [item.field for item in caught.value.violations] == ["bpm", "vocal_language"]
    assert str(caught.value.violations[0]) == "bpm must be within [30, 300]; received 10"
    assert caught.value.reason == "FIELD_INVALID"
    assert caught.value.facts["field"] == "bpm"


async def test_an_overloaded_gateway_says_when_to_come_again(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        world.lm.failure = AceError(Kind.OVERLOADED, "QUEUE_FULL", "full", retry_after_s=2.5)
        await world.client.understand(codes=[1])

    assert caught.value.retry_after_s == 2.5


@pytest.mark.parametrize("blocking", [False, True])
async def test_the_deadline_of_a_client_holds_for_calls_that_name_none(
    world: World, blocking: bool
) -> None:
    world.lm.gate.close()

    with pytest.raises(ServiceError) as caught:
        if blocking:
            await in_thread(world, lambda client: client.understand(codes=[1]).result(), timeout_s=0.3)
        else:
            async with connect(world.address, timeout_s=0.3) as client:
                await client.understand(codes=[1])

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_request_has_an_id_by_which_it_is_known_when_it_is_sent_again(world: World) -> None:
    songs = await world.client.generate(song_request())

    assert len(songs.accepted.request_id) == 32
    assert {*world.dit.request_ids} == {songs.accepted.request_id}


class Starting(rpc.MusicServiceServicer):
    """Is out of reach for the first calls, as a gateway that is being replaced."""

    def __init__(self) -> None:
        self.request_ids: list[str] = []

    async def GenerateMusic(
        self, request: pb.GenerateMusicRequest, context: Any
    ) -> AsyncIterator[pb.GenerateMusicResponse]:
        self.request_ids.append(request.request_id)
        if len(self.request_ids) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        yield pb.GenerateMusicResponse(result=pb.GenerateMusicResult(request_id=request.request_id))


async def test_what_was_out_of_reach_is_tried_again_under_the_same_id() -> None:
    starting = Starting()
    server = grpc.aio.server()
    rpc.add_MusicServiceServicer_to_server(starting, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()

    async with connect(f"localhost:{port}") as client:
        songs = await client.generate(pb.GenerateMusicRequest())

    await server.stop(None)
    assert starting.request_ids == [songs.result.request_id] * 3


class Busy(rpc.MusicServiceServicer):
    """Refuses the first calls, and says when to come again."""

    def __init__(self, retry_after_s: float) -> None:
        self.asked_at: list[float] = []
        self.retry_after_s = retry_after_s

    async def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        self.asked_at.append(time.monotonic())
        if len(self.asked_at) < 3:
            raise AceError(Kind.UNAVAILABLE, "LOADING", "not yet", retry_after_s=self.retry_after_s)
        return pb.GetCapabilitiesResponse(server_version="ready")


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_client_comes_again_when_the_server_says_and_not_before(blocking: bool) -> None:
    busy = Busy(retry_after_s=0.7)
    async with serving(
        "localhost:0", lambda server: rpc.add_MusicServiceServicer_to_server(busy, server), [], 0
    ) as server:
        address = f"localhost:{server.port}"
        if blocking:
            with connect_sync(address) as client:
                offered = await asyncio.to_thread(client.capabilities)
        else:
            async with connect(address) as client:
                offered = await client.capabilities()

    assert offered.server_version == "ready"
    assert [later - now >= 0.7 for now, later in pairwise(busy.asked_at)] == [True, True]


async def test_a_client_that_would_have_to_wait_long_tells_so_at_once() -> None:
    busy = Busy(retry_after_s=5.0)
    async with (
        serving(
            "localhost:0", lambda server: rpc.add_MusicServiceServicer_to_server(busy, server), [], 0
        ) as server,
        connect(f"localhost:{server.port}") as client,
    ):
        with pytest.raises(ServiceError) as caught:
            await client.capabilities()

    assert (caught.value.code, caught.value.retry_after_s) == (grpc.StatusCode.UNAVAILABLE, 5.0)
    assert len(busy.asked_at) == 1


class Hasty(rpc.MusicServiceServicer):
    """Refuses uploads before they are sent, the first ones so early that gRPC loses its answer."""

    def __init__(self, lost_count: int) -> None:
        self.lost_count = lost_count

    async def UploadAudio(self, requests: Any, context: Any) -> pb.UploadAudioResponse:
        if self.lost_count:
            self.lost_count -= 1
            await context.abort(grpc.StatusCode.INTERNAL, LOST_BY_GRPC)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        raise AssertionError("abort raises")


@pytest.mark.parametrize(
    ("lost_count", "told"),
    [(2, grpc.StatusCode.RESOURCE_EXHAUSTED), (3, grpc.StatusCode.INTERNAL)],
)
async def test_an_upload_whose_refusal_grpc_lost_is_tried_again(
    tone: Path, lost_count: int, told: grpc.StatusCode
) -> None:
    server = grpc.aio.server()
    rpc.add_MusicServiceServicer_to_server(Hasty(lost_count), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()

    async with connect(f"localhost:{port}") as client:
        with pytest.raises(ServiceError) as caught:
            await client.upload(tone)

    await server.stop(None)
    assert caught.value.code is told


def test_no_gateway_is_an_error_that_says_so() -> None:
    with connect_sync("localhost:1") as client, pytest.raises(ServiceError) as caught:
        client.capabilities()

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_a_language_model_sampling_is_sent_as_given(world: World) -> None:
    request = pb.CreateSampleRequest(query="x", sampling=music_pb2.LmSampling(temperature=0.3, seed=5))

    sample = await world.client.create(request)

    assert sample.description.seed == 5
    assert world.lm.requests[0].sampling.temperature == 0.3
