"""The conformance cases by a client in another language: it must come to the same verdicts as ours."""

import re

import pytest

from tests.cli.test_conformance import conformance, wrong_address
from tests.clients.languages import NODE, built
from tests.gateway.conftest import World, world

__all__ = ["world", "wrong_address"]  # fixtures

pytestmark = pytest.mark.timeout(400)  # the first test builds the client

VERDICT = re.compile(r"^(passed|failed|skipped) +(.+)$", re.MULTILINE)


async def verdicts_of_node(*arguments: str, token: str = "") -> dict[str, str]:
    done = await built(NODE).replay(*arguments, ACESTEP_TOKEN=token)
    return {title: result for result, title in VERDICT.findall(done.out)}


async def verdicts_of_ours(*arguments: str) -> dict[str, str]:
    _, report = await conformance(*arguments)
    return {f"{case['subject']}: {case['name']}": case["result"] for case in report["cases"]}


@pytest.mark.parametrize("subject", ["refusals", "songs", "texts"])
async def test_two_clients_come_to_the_same_verdicts(world: World, subject: str) -> None:
    """The stages behind this gateway are fakes, so that some cases pass and some do not."""
    arguments = ("--only", f"{subject}: ", "--address", world.address)
    ours = await verdicts_of_ours(*arguments)
    theirs = await verdicts_of_node(*arguments)

    assert {"passed", "failed"} <= set(ours.values())
    assert theirs == ours


async def test_a_server_that_does_everything_wrong_passes_no_case(wrong_address: str) -> None:
    assert set((await verdicts_of_node("--address", wrong_address, token="any")).values()) == {"failed"}


async def test_a_failed_case_is_the_exit_code(wrong_address: str) -> None:
    done = await built(NODE).replay("--only", "seeds are told", "--address", wrong_address)

    assert done.code == 1
    assert "0 passed, 1 failed, 0 skipped" in done.out
