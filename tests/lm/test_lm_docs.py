"""The programs in `docs/lm_service.md` run as they stand there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from lm_service.admission import Admission, Room
from tests.lm.fakes import FakeEngine
from tests.lm.stand import listening, service

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/lm_service.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["plain", "reflection"])
async def test_a_program_of_the_docs_makes_all_calls(program: str) -> None:
    engine = FakeEngine()
    admission = Admission(Room(8, engine.cache_token_count), 4)
    async with listening(service(engine, admission)) as address:
        ran = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, address),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output = (await ran.communicate())[0].decode()

    assert ran.returncode == 0
    assert len(engine.jobs) == 5
    for name in ("Plan", "GenerateCodes", "Understand", "CreateSample", "FormatSample"):
        assert f"\n{name}: " in f"\n{output}"
