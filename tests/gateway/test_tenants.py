"""Tokens and quotas, at a real gateway whose file of tenants the test writes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.health import is_serving
from common.tokens import digest_of, new_token
from gateway.door import Door
from gateway.quotas import Account
from gateway.tenants import Limits, Tenants, TenantsError
from tests.gateway.conftest import World, opened_world

TOO_MANY_STEPS = music_pb2.DiffusionParams(inference_steps=21)
STUDIO, LABEL = new_token(), new_token()


class Guarded:
    """A gateway with tenants, and calls to it."""

    def __init__(self, world: World, file: Path, channel: grpc.aio.Channel) -> None:
        self.world = world
        self.file = file
        self.channel = channel
        self.stub = rpc.MusicServiceStub(channel)

    def set_tenants(self, **studio: Any) -> None:
        write(self.file, studio={"token_sha256": [digest_of(STUDIO)], **studio}, label=tenant(LABEL))

    async def capabilities(self, authorization: str | None) -> Any:
        metadata = () if authorization is None else (("authorization", authorization),)
        return await self.stub.GetCapabilities(pb.GetCapabilitiesRequest(), metadata=metadata)

    def songs(self, token: str = STUDIO, seconds: float = 10.0, count: int = 1, **fields: Any) -> Any:
        request = pb.GenerateMusicRequest(caption="slow piano", duration_seconds=seconds, **fields)
        request.batch.batch_size = count
        return self.stub.GenerateMusic(request, metadata=(("authorization", f"Bearer {token}"),))


def tenant(token: str) -> dict[str, Any]:
    return {"token_sha256": [digest_of(token)]}


def write(file: Path, **tenants: dict[str, Any]) -> None:
    file.write_text(json.dumps({"tenants": tenants}))


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    file = tmp_path / "tenants.json"
    write(file, studio=tenant(STUDIO), label=tenant(LABEL))
    async with (
        opened_world(tmp_path / "uploads", Door(Tenants(file))) as world,
        grpc.aio.insecure_channel(world.address) as channel,
    ):
        yield Guarded(world, file, channel)


async def read(call: Any) -> list[pb.GenerateMusicResponse]:
    return [event async for event in call]


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        if hasattr(call, "__aiter__"):
            [event async for event in call]
        else:
            await call
    return caught.value


def details_of(error: grpc.aio.AioRpcError, kind: Any) -> list[Any]:
    found = []
    for box in rpc_status.from_call(error).details:
        detail = kind()
        if box.Unpack(detail):
            found.append(detail)
    return found


async def test_a_tenants_token_opens_the_door(guarded: Guarded) -> None:
    for scheme in ("Bearer", "bearer"):
        answer = await guarded.capabilities(f"{scheme} {STUDIO}")
        assert answer.dit_models


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {STUDIO}", STUDIO, f"Bearer {STUDIO[:-1]}"],
    ids=[
        "none",
        "empty",
        "no token",
        "blank token",
        "another scheme",
        "no scheme",
        "cut",
    ],  # the token is drawn
)
async def test_any_other_authorization_is_refused_in_the_same_words(
    guarded: Guarded, authorization: str | None
) -> None:
    error = await refusal(guarded.capabilities(authorization))

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error.details() == "this server needs a valid bearer token"


async def test_reflection_needs_a_token_and_health_does_not(guarded: Guarded) -> None:
    call = reflection_pb2_grpc.ServerReflectionStub(guarded.channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )

    error = await refusal(call)

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await asyncio.to_thread(is_serving, guarded.world.address, "liveness")


async def test_a_withdrawn_token_is_refused_at_once_and_a_new_one_taken(guarded: Guarded) -> None:
    await guarded.capabilities(f"Bearer {STUDIO}")
    newer = new_token()

    write(guarded.file, studio=tenant(newer))

    await guarded.capabilities(f"Bearer {newer}")
    error = await refusal(guarded.capabilities(f"Bearer {STUDIO}"))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_broken_file_leaves_the_tenants_as_they_were(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    guarded.file.write_text("{")

    await guarded.capabilities(f"Bearer {STUDIO}")

    assert "the old one stays in use" in caplog.text


async def test_calls_above_the_rate_are_told_when_to_come_again(guarded: Guarded) -> None:
    guarded.set_tenants(calls_per_minute=2)
    for _ in range(2):
        await guarded.capabilities(f"Bearer {STUDIO}")

    error = await refusal(guarded.capabilities(f"Bearer {STUDIO}"))
    other = await guarded.capabilities(f"Bearer {LABEL}")

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (quota,) = details_of(error, error_details_pb2.QuotaFailure)
    (retry,) = details_of(error, error_details_pb2.RetryInfo)
    assert quota.violations[0].subject == "tenant:studio"
    assert quota.violations[0].description == "at most 2 calls a minute"
    assert 0 < retry.retry_delay.ToMilliseconds() <= 30_000
    assert other.dit_models


async def test_songs_at_a_time_are_limited_by_tenant(guarded: Guarded) -> None:
    guarded.set_tenants(max_songs=1)
    guarded.world.dit.gate.close()
    running = guarded.songs()
    await guarded.world.dit.gate.waiting.wait()

    error = await refusal(guarded.songs())
    others = aiter(guarded.songs(token=LABEL))
    accepted = await anext(others)
    guarded.world.dit.gate.open()

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 1 songs at a time" in (error.details() or "")
    assert accepted.HasField("accepted")
    assert [event async for event in running][-1].HasField("result")
    assert [event async for event in others][-1].HasField("result")


async def test_seconds_of_songs_are_limited_by_the_hour(guarded: Guarded) -> None:
    guarded.set_tenants(audio_seconds_per_hour=30)
    for _ in range(2):
        assert [event async for event in guarded.songs(seconds=10)][-1].HasField("result")

    error = await refusal(guarded.songs(seconds=20))
    never = await refusal(guarded.songs(seconds=20, count=2))

    assert error.code() is never.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (retry,) = details_of(error, error_details_pb2.RetryInfo)
    assert 1100 < retry.retry_delay.ToMilliseconds() / 1000 <= 1200
    assert not details_of(never, error_details_pb2.RetryInfo)


async def test_gateways_that_divide_the_limits_grant_them_together_and_not_each(tmp_path: Path) -> None:
    file = tmp_path / "tenants.json"
    write(file, studio=tenant(STUDIO) | {"max_calls": 5, "max_songs": 1})
    doors = [Door(Tenants(file), quota_shares=2) for _ in range(2)]
    metadata = {"authorization": f"Bearer {STUDIO}"}

    with ExitStack() as held:
        for door in doors:
            for _ in range(3):
                held.enter_context(door.enter(metadata))
            with pytest.raises(AceError, match="at most 3 calls at a time"), door.enter(metadata):
                pass

        assert doors[0].account.limits == Limits(max_calls=3, max_songs=1)


async def test_an_id_of_one_tenant_says_nothing_to_another(guarded: Guarded) -> None:
    made = [event async for event in guarded.songs(request_id="song-1")]

    others = [event async for event in guarded.songs(token=LABEL, request_id="song-1")]
    different = [event async for event in guarded.songs(token=LABEL, request_id="song-2", seconds=20)]
    hidden = [event async for event in guarded.songs(request_id="song-2")]

    assert made[-1].HasField("result")
    assert [events[-1].HasField("result") for events in (others, different, hidden)] == [True] * 3
    assert len(guarded.world.dit.jobs) == 4


async def test_who_joins_or_asks_again_by_the_id_is_charged_nothing(guarded: Guarded) -> None:
    guarded.set_tenants(audio_seconds_per_hour=10, max_songs=1)
    guarded.world.dit.gate.close()
    first = asyncio.create_task(read(guarded.songs(request_id="song-1")))
    await guarded.world.dit.gate.waiting.wait()
    joined = aiter(guarded.songs(request_id="song-1"))
    await anext(joined)
    guarded.world.dit.gate.open()

    assert (await first)[-1].HasField("result")
    assert [event async for event in joined][-1].HasField("result")
    assert (await read(guarded.songs(request_id="song-1")))[-1].HasField("result")
    assert len(guarded.world.dit.jobs) == 1


async def test_a_request_that_a_stage_refuses_costs_nothing(guarded: Guarded) -> None:
    guarded.set_tenants(audio_seconds_per_hour=10)
    for _ in range(2):
        refused = await refusal(guarded.songs(seconds=10, diffusion=TOO_MANY_STEPS))
        assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT

    assert [event async for event in guarded.songs(seconds=10)][-1].HasField("result")


def test_a_song_that_fails_costs_nothing_and_a_longer_one_is_charged_later() -> None:
    account = Account("studio", clock=lambda: 0.0)
    account.limits = Limits(audio_seconds_per_hour=100)

    with account.songs(1, 100.0) as charge:
        charge.ended(pb.Song(error=pb.SongError()))
    with account.songs(1, 50.0) as charge:
        charge.ended(pb.Song(actual_duration_seconds=130.0))
    with pytest.raises(AceError) as caught, account.songs(1, 10.0):
        pass

    assert caught.value.kind is Kind.OVERLOADED
    assert caught.value.retry_after_s == 40 * 36.0


def test_songs_that_all_fail_give_back_what_they_cost_and_no_more() -> None:
    account = Account("studio", clock=lambda: 0.0)
    account.limits = Limits(audio_seconds_per_hour=100)
    with account.songs(1, 50.0) as charge:
        charge.ended(pb.Song(actual_duration_seconds=50.0))

    with pytest.raises(AceError, match="failed"), account.songs(2, 25.0) as charge:
        for _ in range(2):
            charge.ended(pb.Song(error=pb.SongError()))
        raise AceError(Kind.INTERNAL, "STAGE_FAILED", "the dit stage failed")

    with pytest.raises(AceError, match="at most 100 seconds"), account.songs(1, 60.0):
        pass


def test_a_call_gives_its_place_back() -> None:
    account = Account("studio")
    account.limits = Limits(max_calls=1)

    for _ in range(2):
        with account.call(), pytest.raises(AceError, match="at most 1 calls at a time"), account.call():
            pass


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is no JSON"),
        ("[]", "nothing else"),
        ('{"tenants": {"a b": {"token_sha256": []}}}', "must be named"),
        ('{"tenants": {"a": {"token_sha256": ["ace_x"]}}}', "64 hex digits"),
        ('{"tenants": {"a": {"token_sha256": [], "max_song": 1}}}', "unknown: max_song"),
        ('{"tenants": {"a": {"token_sha256": [], "max_songs": 0}}}', "max_songs is 0"),
        ('{"tenants": {"a": {"token_sha256": [], "max_calls": true}}}', "max_calls is True"),
        ('{"tenants": {"a": {"token_sha256": ["%s", "%s"]}}}' % ((digest_of("x"),) * 2), "twice"),
    ],
)  # fmt: skip
def test_a_malformed_file_of_tenants_says_where(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "tenants.json"
    file.write_text(content)

    with pytest.raises(TenantsError, match=complaint):
        Tenants(file)


def test_a_missing_file_of_tenants_is_named() -> None:
    with pytest.raises(TenantsError, match=r"nowhere\.json: No such file"):
        Tenants(Path("nowhere.json"))
