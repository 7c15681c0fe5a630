"""TLS between real servers and channels, with an authority of the test's own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc as rpc
from common.channels import open_channel
from common.exposure import Exposure
from common.health import is_serving
from common.ports import free_ports_of_localhost
from common.server import serving
from common.tls import CERTIFICATE_EXPIRY, TlsError, TlsFiles
from tests.common.pki import Authority


class Answering(rpc.LmServiceServicer):
    """Answers at once; a stream ends when the test says so."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.shown: list[bytes] = []
        """The certificate of each caller that shows one, as PEM."""

    async def GetModelInfo(self, request: Any, context: Any) -> pb.GetModelInfoResponse:
        self.shown += context.auth_context().get("x509_pem_cert", ())
        return pb.GetModelInfoResponse(code_count=7)

    async def Plan(self, request: Any, context: Any) -> AsyncIterator[pb.PlanResponse]:
        yield pb.PlanResponse()
        await self.may_end.wait()
        yield pb.PlanResponse()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path, "our-ca")


@asynccontextmanager
async def served(files: TlsFiles, servicer: Answering | None = None) -> AsyncIterator[str]:
    register = partial(rpc.add_LmServiceServicer_to_server, servicer or Answering())
    exposure = Exposure(tls_certificate=files.certificate, tls_key=files.key, tls_client_ca=files.ca)
    async with serving("localhost:0", register, [], grace_s=0, exposure=exposure) as server:
        server.welcome()
        yield f"localhost:{server.port}"


async def answer_of(channel: grpc.aio.Channel) -> int:
    answer = await rpc.LmServiceStub(channel).GetModelInfo(pb.GetModelInfoRequest(), timeout=10)
    return int(answer.code_count)


async def asked(address: str, files: TlsFiles | None) -> int:
    async with open_channel(address, files, ()) as channel:
        return await answer_of(channel)


async def shown(address: str) -> str:
    """The certificate that a new connection is shown, as PEM."""
    host, port = address.split(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


async def test_a_server_with_a_certificate_answers_over_tls_and_not_without(authority: Authority) -> None:
    async with served(authority.issue("server")) as address:
        answer = await asked(address, TlsFiles(ca=authority.ca))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(address, None)

    assert answer == 7
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_refuses_a_server_of_an_authority_it_does_not_know(authority: Authority) -> None:
    stranger = Authority.create(authority.folder, "other-ca")

    async with served(authority.issue("server")) as address:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(address, TlsFiles(ca=stranger.ca))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("stranger", ["without a certificate", "of another authority"])
async def test_mutual_tls_answers_known_clients_alone(authority: Authority, stranger: str) -> None:
    other = Authority.create(authority.folder, "other-ca").issue("stranger", ca=authority.ca)
    unknown = other if stranger == "of another authority" else TlsFiles(ca=authority.ca)

    async with served(authority.issue("server", ca=authority.ca)) as address:
        answer = await asked(address, authority.issue("client", ca=authority.ca))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(address, unknown)

    assert answer == 7
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_new_certificate_is_shown_without_a_restart(authority: Authority) -> None:
    async with served(authority.issue("server")) as address:
        before = await shown(address)
        authority.issue("server", lifetime=timedelta(days=30))
        after = await shown(address)

    assert before != after
    assert CERTIFICATE_EXPIRY.labels("server")._value.get() > 29 * 86_400


async def test_a_broken_new_certificate_leaves_the_old_one_in_use(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = authority.issue("server")
    assert files.certificate is not None
    async with served(files) as address:
        before = await shown(address)
        files.certificate.write_text("half a file")
        after = await shown(address)
        answer = await asked(address, TlsFiles(ca=authority.ca))

    assert (before, answer) == (after, 7)
    assert "the old ones stay in use: TLS file" in caplog.text


async def test_a_channel_takes_new_files_while_a_call_goes_on(authority: Authority) -> None:
    """The server starts to trust another authority alone: the same channel follows with its files."""
    other = Authority.create(authority.folder, "other-ca")
    servicer = Answering()
    client = authority.issue("client", ca=authority.ca)
    async with (
        served(authority.issue("server", ca=authority.ca), servicer) as address,
        open_channel(address, client, ()) as channel,
    ):
        running = rpc.LmServiceStub(channel).Plan(pb.PlanRequest())
        await running.read()
        authority.ca.write_bytes(other.ca.read_bytes())
        other.issue("server")
        new = other.issue("client")

        answer = await answer_of(channel)
        servicer.may_end.set()
        last = await running.read()

    assert answer == 7
    assert new.certificate is not None
    assert servicer.shown == [new.certificate.read_bytes()]
    assert isinstance(last, pb.PlanResponse)


async def test_health_is_asked_over_tls(authority: Authority) -> None:
    async with served(authority.issue("server")) as address:
        plain = await asyncio.to_thread(is_serving, address)
        secure = await asyncio.to_thread(is_serving, address, tls=TlsFiles(ca=authority.ca))

    assert (plain, secure) == (False, True)


async def test_health_can_be_asked_at_a_plain_address_of_its_own_that_answers_nothing_else(
    authority: Authority,
) -> None:
    files = authority.issue("server", ca=authority.ca)
    (port,) = free_ports_of_localhost(1)
    exposure = Exposure(
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_client_ca=files.ca,
        health_address=f"localhost:{port}",
    )
    register = partial(rpc.add_LmServiceServicer_to_server, Answering())
    async with serving("localhost:0", register, [], grace_s=0, exposure=exposure) as server:
        address = f"localhost:{port}"
        loading = await asyncio.to_thread(is_serving, address)
        server.welcome()
        ready = await asyncio.to_thread(is_serving, address)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(address, None)

    assert (loading, ready) == (False, True)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_missing_file_is_named(authority: Authority) -> None:
    files = replace(authority.issue("server"), certificate=Path("nowhere.crt"))

    with pytest.raises(TlsError, match=r"TLS file nowhere\.crt: No such file"):
        files.read()


def test_an_expired_certificate_is_refused_with_its_end(authority: Authority) -> None:
    with pytest.raises(TlsError, match=r"server\.crt expired at \d{4}-"):
        authority.issue("server", lifetime=timedelta(days=-1)).read()


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    other = authority.issue("other")

    with pytest.raises(TlsError, match=r"other\.key is not that of the certificate .*server\.crt"):
        replace(authority.issue("server"), key=other.key).read()


@pytest.mark.parametrize("part", ["ca", "certificate", "key"])
def test_a_file_that_is_no_pem_is_named(authority: Authority, part: str) -> None:
    broken = authority.folder / "broken.pem"
    broken.write_text("hello")

    with pytest.raises(TlsError, match=r"broken\.pem holds no PEM"):
        replace(authority.issue("server", ca=authority.ca), **{part: broken}).read()


def test_a_certificate_without_its_key_is_refused(authority: Authority) -> None:
    with pytest.raises(TlsError, match="must be given together"):
        replace(authority.issue("server"), key=None)


async def test_a_client_ca_without_a_certificate_stops_the_start(authority: Authority) -> None:
    with pytest.raises(TlsError, match="needs a TLS certificate"):
        async with served(TlsFiles(ca=authority.ca)):
            pass
