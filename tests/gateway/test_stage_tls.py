"""The gateway and its stages over mutual TLS, as `python -m gateway` connects them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import connect as connect_client
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common import channels
from common.exposure import Exposure
from common.server import Server, serving
from common.tls import TlsError, TlsFiles
from gateway.__main__ import connect, main
from gateway.generation import Workshop
from gateway.pool import StageKind
from gateway.servicer import add_to
from gateway.settings import Settings
from gateway.stages import DIT, LM, Stages
from gateway.uploads import Uploads
from tests.common.pki import Authority
from tests.gateway.fakes import FakeDit, FakeLm
from tests.gateway.test_generate import song_request, songs_of


@asynccontextmanager
async def stage(
    register: Callable[[grpc.aio.Server], None], kind: StageKind[Any, Any], files: TlsFiles
) -> AsyncIterator[Server]:
    exposure = Exposure(tls_certificate=files.certificate, tls_key=files.key, tls_client_ca=files.ca)
    async with serving("localhost:0", register, [kind.service], 0, exposure=exposure) as server:
        server.welcome()
        yield server


@asynccontextmanager
async def system(folder: Path, authority: Authority, own: TlsFiles) -> AsyncIterator[tuple[Stages, str]]:
    """Stages that ask for certificates of `authority`, and a gateway that shows them `own`."""
    files = authority.issue("stage", ca=authority.ca)
    async with (
        stage(partial(lm_rpc.add_LmServiceServicer_to_server, FakeLm()), LM, files) as lm,
        stage(partial(dit_rpc.add_DitServiceServicer_to_server, FakeDit()), DIT, files) as dit,
    ):
        settings = Settings(
            lm_address=(f"127.0.0.1:{lm.port}",),
            dit_address=(f"127.0.0.1:{dit.port}",),
            stage_tls_ca=own.ca,
            stage_tls_certificate=own.certificate,
            stage_tls_key=own.key,
            stage_tls_name="localhost",
        )
        async with Stages(settings, partial(connect, settings)) as stages:
            workshop = Workshop(stages, Uploads(folder / "uploads", 10**6, 10**6, 60.0), settings)
            async with serving("localhost:0", lambda server: add_to(server, workshop), [], 0) as server:
                yield stages, f"localhost:{server.port}"


async def test_songs_are_made_over_mutual_tls_and_after_all_files_have_changed(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "our-ca")
    own = authority.issue("gateway", ca=authority.ca)
    async with (
        asyncio.timeout(20),
        system(tmp_path, authority, own) as (stages, address),
        connect_client(address) as client,
    ):
        await stages.until_ready()
        before = await songs_of(client, song_request())
        other = Authority.create(tmp_path, "other-ca")
        authority.ca.write_bytes(other.ca.read_bytes())
        for name in ("stage", "gateway"):
            other.issue(name)
        after = await songs_of(client, song_request())

    assert len(before) == len(after) == 1


async def test_the_end_of_a_connection_that_was_replaced_ejects_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channels, "LAST_CALLS_S", 0.0)
    caplog.set_level("INFO", "gateway.replica")
    authority = Authority.create(tmp_path, "our-ca")
    own = authority.issue("gateway", ca=authority.ca)
    async with (
        asyncio.timeout(20),
        system(tmp_path, authority, own) as (stages, address),
        connect_client(address) as client,
    ):
        await stages.until_ready()
        authority.issue("gateway")
        for _ in range(3):  # each asks both stages; the first one connects anew
            await songs_of(client, song_request())

        assert "is admitted" in caplog.text
        assert "is ejected" not in caplog.text


async def test_a_gateway_that_the_stages_do_not_know_finds_no_stage(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "our-ca")
    stranger = Authority.create(tmp_path, "other-ca").issue("gateway", ca=authority.ca)

    async with system(tmp_path, authority, stranger) as (stages, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await stages.until_ready()


async def test_a_gateway_whose_files_for_the_stages_are_not_in_order_does_not_start(tmp_path: Path) -> None:
    settings = Settings(stage_tls_ca=tmp_path / "nowhere.pem", upload_dir=tmp_path / "uploads")

    with pytest.raises(TlsError, match=r"nowhere\.pem: No such file"):
        async with asyncio.timeout(5):
            await main(settings)
