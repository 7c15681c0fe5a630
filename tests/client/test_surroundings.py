"""Upstream's functions where people run them: scripts that are interrupted, notebooks, secured gateways."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from acestep.client import Tls
from acestep.handler import AceStepHandler
from acestep.inference import GenerationConfig, generate_music
from acestep.upstream.connection import _tls
from tests.client.conftest import Studio
from tests.client.test_params import SONG
from tests.client.test_secured import door

__all__ = ["door"]  # the fixture of a gateway behind TLS

SCRIPT = """
import sys
from acestep.handler import AceStepHandler
from acestep.inference import GenerationConfig, GenerationParams, generate_music

handler = AceStepHandler()
print(handler.initialize_service("", "", address=sys.argv[1]), flush=True)
generate_music(handler, None, GenerationParams(caption="x", duration=10), GenerationConfig(batch_size=1))
"""


async def test_ctrl_c_ends_the_work_on_the_server_too(studio: Studio) -> None:
    studio.world.dit.gate.close()
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, studio.world.address,
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await asyncio.wait_for(studio.world.dit.gate.waiting.wait(), 60)

    script.send_signal(signal.SIGINT)

    _, errors = await asyncio.wait_for(script.communicate(), 30)
    await asyncio.wait_for(studio.world.dit.cancelled.wait(), 10)
    assert script.returncode != 0
    assert b"KeyboardInterrupt" in errors


async def test_a_notebook_whose_own_loop_runs_makes_songs(studio: Studio) -> None:
    async def cell() -> bool:
        result = generate_music(studio.dit, studio.llm, SONG, GenerationConfig(batch_size=1))
        return result.success

    assert await asyncio.to_thread(asyncio.run, cell())


async def test_the_environment_says_how_a_secured_gateway_is_reached(
    door: tuple[str, Tls], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = door
    monkeypatch.setenv("ACESTEP_ADDRESS", address)
    monkeypatch.setenv("ACESTEP_TOKEN", "ace_x")
    monkeypatch.setenv("ACESTEP_TLS_CA", str(files.root_certificates))
    monkeypatch.setenv("ACESTEP_TLS_CERTIFICATE", str(files.certificate))
    monkeypatch.setenv("ACESTEP_TLS_KEY", str(files.key))
    handler = AceStepHandler()

    status, done = await asyncio.to_thread(handler.initialize_service, "", "secured")

    assert done, status
    assert handler.gateway is not None
    assert handler.gateway.offered.server_version == "Bearer ace_x studio"


@pytest.mark.parametrize(("value", "secured"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_tls_is_asked_for_in_the_environment(value: str, secured: bool) -> None:
    assert (_tls({"ACESTEP_TLS": value}) is not None) == secured
