"""The programs in `docs/lm_service.md` run as they stand there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from acestep.lm.v1 import lm_service_pb2_grpc
from common.server import serving
from common.slot import Slot
from lm_service.__main__ import NAME
from lm_service.admission import Admission, Room
from lm_service.generation import Generations
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from tests.lm.fakes import FakeEngine

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/lm_service.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["plain", "reflection"])
async def test_a_program_of_the_docs_makes_all_calls(program: str) -> None:
    engine, slot = FakeEngine(), Slot[Service]("the language model")
    admission = Admission(Room(8, engine.cache_token_count), 4)
    jobs = Jobs(engine.model, max_text_tokens=900, layout=PromptLayout.OPEN_TURN)
    slot.fill(Service(Generations(engine, admission, 30.0), jobs))
    servicer = LmServicer(slot)
    async with serving(
        "localhost:0",
        lambda server: lm_service_pb2_grpc.add_LmServiceServicer_to_server(servicer, server),
        service_names=[NAME],
        grace_s=0,
    ) as server:
        ran = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, f"localhost:{server.port}"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output = (await ran.communicate())[0].decode()

    assert ran.returncode == 0
    assert len(engine.jobs) == 5
    for name in ("Plan", "GenerateCodes", "Understand", "CreateSample", "FormatSample"):
        assert f"\n{name}: " in f"\n{output}"
