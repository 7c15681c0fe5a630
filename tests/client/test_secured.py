"""A gateway behind TLS that asks for a certificate and for a token."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import ServiceError, Tls, connect, connect_sync
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from tests.common.pki import Authority


class Doorman(rpc.MusicServiceServicer):
    """Tells in the server's version what it was shown."""

    async def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        peer = context.auth_context().get("x509_common_name", [b""])[0].decode()
        offered = pb.GetCapabilitiesResponse(server_version=f"{shown} {peer}")
        offered.dit_models.add().model.name = "secured"
        return offered


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[str, Tls]]:
    """An address, and what opens it."""
    authority = Authority.create(tmp_path, "authority")
    ours, yours = authority.issue("gateway"), authority.issue("studio")
    assert ours.certificate is not None and ours.key is not None
    server = grpc.aio.server()
    rpc.add_MusicServiceServicer_to_server(Doorman(), server)
    pair = [(ours.key.read_bytes(), ours.certificate.read_bytes())]
    port = server.add_secure_port(
        "localhost:0",
        grpc.ssl_server_credentials(pair, authority.ca.read_bytes(), require_client_auth=True),
    )
    await server.start()
    yield f"localhost:{port}", Tls(authority.ca, yours.certificate, yours.key)
    await server.stop(None)


async def test_certificates_and_a_token_are_shown(door: tuple[str, Tls]) -> None:
    address, tls = door

    async with connect(address, tls=tls, token="ace_x") as client:
        offered = await client.capabilities()

    assert offered.server_version == "Bearer ace_x studio"


async def test_without_a_certificate_there_is_no_way_in(door: tuple[str, Tls]) -> None:
    address, tls = door

    with pytest.raises(ServiceError) as caught:
        async with connect(address, tls=Tls(root_certificates=tls.root_certificates)) as client:
            await client.capabilities(timeout_s=5)

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_half_a_pair_is_refused_at_once(tmp_path: Path) -> None:
    yours = Authority.create(tmp_path, "authority").issue("studio")

    with (
        pytest.raises(ValueError, match="together"),
        connect_sync("x:1", tls=Tls(certificate=yours.certificate)),
    ):
        pass


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"

    with pytest.raises(OSError, match=r"ca\.pem"), connect_sync("x:1", tls=Tls(root_certificates=missing)):
        pass


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("music.example:50050", True),
        ("10.0.0.7:50050", True),
        ("[2001:db8::1]:50050", True),
        ("localhost:50050", False),
        ("127.0.0.1:50050", False),
        ("[::1]:50050", False),
        ("dns:///music.example:50050", True),
        ("dns:///localhost:50050", False),
        ("unix:/run/music", False),
        ("unix-abstract:music", False),
    ],
)
def test_a_token_that_crosses_a_network_in_the_clear_is_warned_of(
    caplog: pytest.LogCaptureFixture, address: str, warned: bool
) -> None:
    with connect_sync(address, token="ace_x"):
        pass

    assert ("can be read on its way" in caplog.text) is warned
    assert "ace_x" not in caplog.text


def test_over_tls_or_without_a_token_there_is_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    with connect_sync("music.example:50050", tls=Tls(), token="ace_x"), connect_sync("music.example:50050"):
        pass

    assert not caplog.text
