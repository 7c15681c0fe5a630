"""The commands at a gateway that asks for a certificate and a token."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.tokens import digest_of, new_token
from gateway.door import Door
from gateway.stages import DIT, LM
from gateway.tenants import Tenants
from gateway.uploads import Uploads
from tests.common.pki import Authority
from tests.gateway.conftest import gateway_over, serving_stage
from tests.gateway.fakes import FakeDit, FakeLm

TOKEN = new_token()


@asynccontextmanager
async def guarded_gateway(folder: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and the options that open it but for the token."""
    authority = Authority.create(folder, "our-ca")
    own, ours = authority.issue("gateway"), authority.issue("client")
    tenants = folder / "tenants.json"
    tenants.write_text(json.dumps({"tenants": {"studio": {"token_sha256": [digest_of(TOKEN)]}}}))
    async with (
        serving_stage(partial(lm_rpc.add_LmServiceServicer_to_server, FakeLm()), LM) as lm,
        serving_stage(partial(dit_rpc.add_DitServiceServicer_to_server, FakeDit()), DIT) as dit,
        gateway_over(
            [lm.port],
            [dit.port],
            Uploads(folder / "uploads", 10**6, 10**6, 60.0),
            Door(Tenants(tenants)),
            tls_certificate=own.certificate,
            tls_key=own.key,
            tls_client_ca=authority.ca,
        ) as address,
    ):
        files = {"--tls-ca": authority.ca, "--tls-certificate": ours.certificate, "--tls-key": ours.key}
        yield address, [str(word) for option in files.items() for word in option]


async def run(options: list[str], address: str, token: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "acestep_serve", *options, "capabilities", "--json", "--address", address),
        env={"ACESTEP_TOKEN": token, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_certificates_and_a_token_open_the_gateway(tmp_path: Path) -> None:
    async with guarded_gateway(tmp_path) as (address, options):
        code, out, err = await run(options, address, TOKEN)

    assert code == 0, err
    assert json.loads(out)["dit_models"]


async def test_a_wrong_token_is_refused_and_not_shown(tmp_path: Path) -> None:
    async with guarded_gateway(tmp_path) as (address, options):
        code, _, err = await run(options, address, "ace_wrong")

    assert code == 2
    assert "UNAUTHENTICATED this server needs a valid bearer token" in err
    assert "ace_wrong" not in err


async def test_a_certificate_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = await run(["--tls-ca", "nowhere.pem"], "localhost:1", "")

    assert code == 2
    assert "nowhere.pem" in err
