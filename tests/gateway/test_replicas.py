"""Several replicas of each stage: work is spread, and a replica that is lost costs time, not songs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import Client, connect
from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.server import Server
from gateway.addresses import resolved
from gateway.metrics import REPLICA_ADMITTED
from gateway.pool import Lost, Pool, Waiting
from gateway.settings import Settings
from gateway.stages import DIT, LM, Stages
from gateway.uploads import Uploads
from tests.gateway.conftest import connect_stage, gateway_over, serving_stage
from tests.gateway.fakes import FakeDit, FakeLm
from tests.gateway.test_generate import events_of, song_request, songs_of


@dataclass(slots=True)
class Running:
    """A stage that can be stopped like a process that dies."""

    fake: Any
    server: Server
    stack: AsyncExitStack

    async def die(self) -> None:
        await self.stack.aclose()


@dataclass(slots=True)
class Farm:
    """A gateway over two replicas of each stage."""

    client: Client
    lms: list[Running] = field(default_factory=list)
    dits: list[Running] = field(default_factory=list)


async def start(fake: FakeLm | FakeDit) -> Running:
    stack = AsyncExitStack()
    if isinstance(fake, FakeLm):
        stage = serving_stage(partial(lm_rpc.add_LmServiceServicer_to_server, fake), LM)
    else:
        stage = serving_stage(partial(dit_rpc.add_DitServiceServicer_to_server, fake), DIT)
    return Running(fake, await stack.enter_async_context(stage), stack)


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    lms, dits = [await start(FakeLm()) for _ in range(2)], [await start(FakeDit()) for _ in range(2)]
    uploads = Uploads(tmp_path, 2_000_000, 4_000_000, 60.0)
    lm_ports, dit_ports = [item.server.port for item in lms], [item.server.port for item in dits]
    async with gateway_over(lm_ports, dit_ports, uploads) as address, connect(address) as client:
        await until(lambda: replicas_admitted(lm_ports + dit_ports) == 4)
        yield Farm(client, lms, dits)
    for item in (*lms, *dits):
        await item.die()


def replicas_admitted(ports: list[int]) -> float:
    addresses = {f"localhost:{port}" for port in ports}
    samples = [sample for metric in REPLICA_ADMITTED.collect() for sample in metric.samples]
    return sum(sample.value for sample in samples if sample.labels["replica"] in addresses)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_songs_are_spread_over_the_replicas(farm: Farm) -> None:
    await songs_of(farm.client, song_request(seeds=(1, 2, 3, 4)))

    assert [len(dit.fake.jobs) for dit in farm.dits] == [2, 2]
    assert sum(len(lm.fake.requests) for lm in farm.lms) == 5


async def test_a_song_whose_language_model_stands_still_is_made_by_the_other_replica(farm: Farm) -> None:
    for lm in farm.lms:
        lm.fake.gate.close()
    making = asyncio.create_task(events_of(farm.client, song_request()))
    await until(lambda: any(lm.fake.requests for lm in farm.lms))
    working, idle = sorted(farm.lms, key=lambda lm: len(lm.fake.requests), reverse=True)
    working.fake.failure = AceError(Kind.TIMEOUT, "STALLED", "no token from the engine", phase="plan")

    idle.fake.gate.open()
    working.fake.gate.open()

    events = await making
    assert [event.retried.stage for event in events if event.HasField("retried")] == [pb.STAGE_LM]
    assert events[-1].result.succeeded_count == 1


async def test_a_language_model_that_stands_still_is_told_with_what_it_was_doing(farm: Farm) -> None:
    for lm in farm.lms:
        lm.fake.failure = AceError(Kind.TIMEOUT, "STALLED", "no token from the engine", phase="plan")

    with pytest.raises(ServiceError) as caught:
        await songs_of(farm.client, song_request())

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (caught.value.reason, caught.value.facts["phase"]) == ("STALLED", "plan")


async def test_songs_one_after_the_other_are_spread_too(farm: Farm) -> None:
    for seed in range(4):
        await songs_of(farm.client, song_request(seeds=(seed,)))

    assert [len(dit.fake.jobs) for dit in farm.dits] == [2, 2]


async def test_a_song_whose_diffusion_is_lost_is_made_by_the_other_replica(farm: Farm) -> None:
    (expected,) = await songs_of(farm.client, song_request())
    for dit in farm.dits:
        dit.fake.jobs.clear()
        dit.fake.gate.close()
    making = asyncio.create_task(events_of(farm.client, song_request()))
    await until(lambda: any(dit.fake.jobs for dit in farm.dits))
    working, idle = sorted(farm.dits, key=lambda dit: len(dit.fake.jobs), reverse=True)

    idle.fake.gate.open()
    await working.die()

    events = await making
    assert [event.retried for event in events if event.HasField("retried")] == [
        pb.Retried(stage=pb.STAGE_DIT, song_index=0)
    ]
    (song,) = [event.song for event in events if event.HasField("song")]
    assert song.audio_sha256 == expected.song.audio_sha256
    assert song.warnings == expected.song.warnings != []


async def test_a_song_whose_language_model_is_lost_is_made_by_the_other_replica(farm: Farm) -> None:
    (expected,) = await songs_of(farm.client, song_request())
    for lm in farm.lms:
        lm.fake.requests.clear()
        lm.fake.gate.close()
    making = asyncio.create_task(songs_of(farm.client, song_request()))
    await until(lambda: any(lm.fake.requests for lm in farm.lms))
    working, idle = sorted(farm.lms, key=lambda lm: len(lm.fake.requests), reverse=True)

    idle.fake.gate.open()
    await working.die()

    (song,) = await making
    assert song.data == expected.data
    assert song.song.audio_codes == expected.song.audio_codes


async def test_codes_of_a_language_model_that_is_lost_are_not_told_twice(farm: Farm) -> None:
    request = song_request(bpm=100, keyscale="C major", timesignature="4")  # nothing is planned
    (expected,) = await songs_of(farm.client, request)
    farm.lms[0].fake.lost_after_codes = True

    made = [await songs_of(farm.client, request) for _ in range(2)]

    assert not farm.lms[0].fake.lost_after_codes
    assert [song.song.audio_codes for (song,) in made] == [expected.song.audio_codes] * 2


async def test_without_another_replica_the_caller_is_told_when_to_come_again(farm: Farm) -> None:
    await farm.dits.pop().die()
    (dit,) = farm.dits
    dit.fake.gate.close()
    making = asyncio.create_task(songs_of(farm.client, song_request()))
    await until(lambda: bool(dit.fake.jobs))

    await dit.die()

    with pytest.raises(ServiceError) as caught:
        await making
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.retry_after_s == 5.0


async def test_a_replica_that_drains_is_left_alone_and_taken_back_when_it_serves_again(farm: Farm) -> None:
    draining, other = farm.dits
    draining.server.refuse()
    await until(lambda: replicas_admitted([draining.server.port]) == 0)
    await songs_of(farm.client, song_request(seeds=(1, 2)))
    assert (len(draining.fake.jobs), len(other.fake.jobs)) == (0, 2)

    draining.server.welcome()
    await until(lambda: replicas_admitted([draining.server.port]) == 1)
    await songs_of(farm.client, song_request(seeds=(1, 2)))

    assert (len(draining.fake.jobs), len(other.fake.jobs)) == (1, 3)


async def test_a_replica_with_other_models_is_not_used_until_it_is_the_only_one(tmp_path: Path) -> None:
    lm, old = await start(FakeLm()), await start(FakeDit())
    new = await start(FakeDit(model="dit-new"))
    uploads = Uploads(tmp_path, 2_000_000, 4_000_000, 60.0)
    new.server.refuse()
    async with (
        gateway_over([lm.server.port], [old.server.port, new.server.port], uploads) as address,
        connect(address) as client,
    ):
        new.server.welcome()
        await songs_of(client, song_request(seeds=(1, 2, 3)))
        assert (len(old.fake.jobs), len(new.fake.jobs)) == (3, 0)

        await old.die()
        await until(lambda: replicas_admitted([new.server.port]) == 1)

        offered = await client.capabilities()
        assert [model.model.name for model in offered.dit_models] == ["dit-new"]
    for item in (lm, new):
        await item.die()


async def test_a_name_stands_for_all_its_addresses() -> None:
    assert await resolved(["a:1", "dns:///localhost:7"]) == ["a:1", "127.0.0.1:7"]


async def test_replicas_come_and_go_as_their_name_is_looked_up() -> None:
    dits = [await start(FakeDit()) for _ in range(2)]
    for item in dits:
        item.fake.gate.close()
    ports = [item.server.port for item in dits]
    known = [f"localhost:{port}" for port in ports]

    async def resolve(addresses: Sequence[str]) -> list[str]:
        assert addresses == ("dns:///dit:50052",)
        return list(known)

    async with Pool(DIT, ("dns:///dit:50052",), connect_stage, 5.0, resolve, resolve_every_s=0.05) as pool:
        await until(lambda: replicas_admitted(ports) == 2)
        at_work = [asyncio.create_task(rendered(pool)) for _ in range(2)]
        await until(lambda: all(item.fake.jobs for item in dits))
        gone = known.pop()
        await until(lambda: replicas_admitted(ports) == 1)
        known.append(gone)
        await until(lambda: replicas_admitted(ports) == 2)

        for item in dits:
            item.fake.gate.open()
        await asyncio.gather(*at_work)
        await until(lambda: not pool._retiring)

        assert replicas_admitted(ports) == 2  # what is told of the new one outlives the old one
    for item in dits:
        await item.die()


JOB = dit_pb.RenderJob(task=music_pb2.TASK_TEXT2MUSIC, audio_codes=[0])


def render(dit: dit_rpc.DitServiceStub) -> Any:
    async def requests() -> AsyncIterator[dit_pb.RenderRequest]:
        yield dit_pb.RenderRequest(job=JOB)

    return dit.Render(requests(), metadata=(("x-request-id", "r"),))


async def rendered(pool: Pool[Any, Any]) -> list[Any]:
    return [event async for event in pool.events(render, work_s=1.0)]


@pytest.mark.parametrize(
    ("songs_at_once", "calls", "aside"), [(1, 128, 16), (16, 128, 16), (16, 70, 6), (4, 0, 0)]
)
def test_few_songs_are_left_to_slow_readers(songs_at_once: int, calls: int, aside: int) -> None:
    info = dit_pb.GetModelInfoResponse(max_song_count=songs_at_once, max_call_count=calls)

    assert DIT.room_aside(info) == aside


async def test_a_lost_song_that_had_stepped_aside_waits_for_its_turn_again() -> None:
    dits = [await start(FakeDit()) for _ in range(2)]
    for item in dits:
        item.fake.gate.close()
    addresses = [f"localhost:{item.server.port}" for item in dits]
    async with Pool(DIT, addresses, connect_stage, 5.0) as pool:
        await until(lambda: pool.gate._room() == 4)
        heard = pool.events(render, work_s=1.0)
        turn = await anext(heard)
        await anext(heard)  # started
        (lost,) = [item for item in dits if item.fake.jobs]
        turn.step_aside()
        others = [asyncio.create_task(rendered(pool)) for _ in range(4)]
        await until(lambda: sum(len(item.fake.jobs) for item in dits) == 5)

        await lost.die()
        kinds = [type(await anext(heard)) for _ in range(2)]
        (alive,) = [item for item in dits if item is not lost]
        alive.fake.gate.open()
        rest = [event async for event in heard]

        assert kinds == [Lost, Waiting]
        assert rest[-1].HasField("result")
        assert all(events[-1].HasField("result") for events in await asyncio.gather(*others))
    await alive.die()


def test_a_name_without_its_port_is_refused_by_the_settings() -> None:
    with pytest.raises(ValueError, match=r"dit_address holds 'dns:///dit', which lacks its port"):
        Settings(dit_address=("dns:///dit",))


async def test_an_answer_that_grpc_lost_is_asked_for_again_and_nobody_is_ejected(farm: Farm) -> None:
    farm.dits[0].fake.answers_to_lose = 1

    await songs_of(farm.client, song_request())  # checked by one, rendered by the other

    assert farm.dits[0].fake.answers_to_lose == 0
    assert replicas_admitted([dit.server.port for dit in farm.dits]) == 2


async def test_stages_whose_code_books_differ_are_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dit = FakeDit()
    dit.code_count += 1
    running = [await start(FakeLm()), await start(dit)]
    lm_address, dit_address = (f"localhost:{stage.server.port}" for stage in running)

    async with Stages(
        Settings(lm_address=(lm_address,), dit_address=(dit_address,)), connect_stage
    ) as stages:
        waiting = asyncio.create_task(stages.until_ready())
        await until(lambda: "code book" in caplog.text)
        waiting.cancel()
        await asyncio.wait({waiting})
    for stage in running:
        await stage.die()

    (told,) = (record for record in caplog.records if "code book" in record.message)
    assert told.levelname == "ERROR"


async def test_a_gateway_that_stops_leaves_its_replicas_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = [await start(FakeLm()), await start(FakeDit())]
    lm_address, dit_address = (f"localhost:{stage.server.port}" for stage in running)

    async with Stages(
        Settings(lm_address=(lm_address,), dit_address=(dit_address,)), connect_stage
    ) as stages:
        await stages.until_ready()
    for stage in running:
        await stage.die()

    assert not [
        record
        for record in caplog.records
        if record.name == "gateway.replica" and record.levelname == "WARNING"
    ]


async def test_a_replica_that_is_lost_is_a_warning_in_the_log(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    await farm.dits[0].die()
    await until(lambda: "ejected" in caplog.text)

    (told,) = (record for record in caplog.records if "ejected" in record.message)
    assert told.levelname == "WARNING"
    assert f":{farm.dits[0].server.port} " in told.message
