"""Latents that a song was told with are what a next one is made from."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from acestep.client import Client
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from dit_service.engine import SourceLatents
from tests.dit.fakes import FakeEngine
from tests.gateway.whole import GRAMMAR, whole
from tests.lm.fakes import FakeEngine as FakeLmEngine

FRAMES, CHANNELS = 500, 8


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def client(tmp_path: Path, engine: FakeEngine) -> AsyncIterator[Client]:
    async with whole(tmp_path, FakeLmEngine(grammar=GRAMMAR), engine) as connected:
        yield connected


def latents(frames: int = FRAMES) -> music_pb2.Latents:
    values = np.random.default_rng(1).standard_normal((FRAMES, CHANNELS)).astype("<f4")
    return music_pb2.Latents(data=values.tobytes(), frame_count=frames, channel_count=CHANNELS)


def repaint(source: music_pb2.Latents, **fields: object) -> pb.GenerateMusicRequest:
    request = pb.GenerateMusicRequest(task=music_pb2.TASK_REPAINT, caption="x", source_latents=source)
    request.MergeFrom(pb.GenerateMusicRequest(**fields))  # type: ignore[arg-type]
    return request


async def test_a_client_goes_on_from_the_latents_of_a_song(client: Client, engine: FakeEngine) -> None:
    first = await client.generate(
        pb.GenerateMusicRequest(
            caption="x", duration_seconds=10, output=pb.OutputParams(return_latents=True)
        )
    )
    told = first.files[0].song.latents

    second = await client.generate(repaint(told))

    source = engine.jobs[-1].source
    assert isinstance(source, SourceLatents)
    assert source.latents.astype("<f4").tobytes() == told.data
    assert second.files[0].song.actual_duration_seconds == pytest.approx(told.frame_count / 25)
    assert second.plan.duration_source == pb.DURATION_SOURCE_SOURCE_AUDIO
    assert not second.accepted.effective.HasField("source_latents")


async def test_bad_latents_are_told_with_what_else_is_wrong(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        await client.generate(repaint(latents(frames=499), bpm=1))

    assert [item.field for item in caught.value.violations] == ["bpm", "source_latents.data"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (repaint(latents(frames=499)), "source_latents.data"),
        (repaint(latents(), source_audio_id="0" * 32), "source_latents"),
        (repaint(latents(), duration_seconds=20.0), "duration_seconds"),
        (repaint(latents(), task=music_pb2.TASK_TEXT2MUSIC), "source_latents"),
        (repaint(latents(), bpm=1), "bpm"),
    ],
    ids=["size", "two sources", "length", "task", "another field"],
)
async def test_latents_that_make_no_sense_are_named(
    client: Client, engine: FakeEngine, request_: pb.GenerateMusicRequest, field: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        await client.generate(request_)

    assert [item.field for item in caught.value.violations] == [field]
    assert not engine.jobs
