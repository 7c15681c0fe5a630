"""A farm of processes for the faults that are quick, started once."""

from collections.abc import AsyncIterator

import pytest

from bench.faults.farm import Farm, farm
from common.ports import free_ports_of_localhost
from tests.system.conftest import is_free


def port_block(size: int = 8) -> int:
    """The first of so many free ports in a row."""
    while True:
        (first,) = free_ports_of_localhost(1)
        if first + size < 65_536 and all(is_free(first + offset) for offset in range(size)):
            return first


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    async with farm(folder, port_block(), gateway={"INFO_TIMEOUT_S": "2"}) as started:
        yield started
