"""A few hundred requests at random; `make properties` runs ten thousand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from acestep.client import Client
from tests.gateway.properties import NO_HANG_S, QuietEngine, outcomes
from tests.gateway.random_requests import CASES, Case
from tests.gateway.whole import GRAMMAR, whole
from tests.lm.fakes import FakeEngine as FakeLmEngine


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with whole(
        tmp_path, FakeLmEngine(grammar=GRAMMAR), QuietEngine(), patience_s=NO_HANG_S
    ) as connected:
        yield connected


@settings(
    max_examples=30,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # to find a smaller request that fails takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(CASES)
async def test_every_request_is_made_or_refused_with_the_field_that_is_wrong(
    client: Client, cases: list[Case]
) -> None:
    async with asyncio.timeout(200):
        await outcomes(client, cases)
