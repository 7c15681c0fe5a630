"""A gateway behind TLS that asks for a certificate and for a token."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import ServiceError, Tls, connect, connect_sync
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc


class Doorman(rpc.MusicServiceServicer):
    """Tells in the server's version what it was shown."""

    async def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        peer = context.auth_context().get("x509_common_name", [b""])[0].decode()
        return pb.GetCapabilitiesResponse(server_version=f"{shown} {peer}")


def certify(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[str, Tls]]:
    """An address, and what opens it."""
    ours, our_key = certify(tmp_path, "gateway")
    yours, your_key = certify(tmp_path, "studio")
    server = grpc.aio.server()
    rpc.add_MusicServiceServicer_to_server(Doorman(), server)
    pair = [(our_key.read_bytes(), ours.read_bytes())]
    port = server.add_secure_port(
        "localhost:0", grpc.ssl_server_credentials(pair, yours.read_bytes(), require_client_auth=True)
    )
    await server.start()
    yield f"localhost:{port}", Tls(root_certificates=ours, certificate=yours, key=your_key)
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
    certificate, _ = certify(tmp_path, "studio")

    with pytest.raises(ValueError, match="together"), connect_sync("x:1", tls=Tls(certificate=certificate)):
        pass


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"

    with pytest.raises(OSError, match=r"ca\.pem"), connect_sync("x:1", tls=Tls(root_certificates=missing)):
        pass
