"""A short fuzz run, the same each time; `make fuzz` runs longer ones."""

import subprocess
import sys
from pathlib import Path

from tests.fuzz.rpcs import fuzz, methods
from tests.fuzz.system import system


async def test_no_request_makes_a_service_fail(tmp_path: Path) -> None:
    async with system(tmp_path) as channels:
        ends, faults = await fuzz(channels, seed=1, count=400)

    assert not faults, "\n".join(faults)
    assert ends["OK"] > 40
    assert ends["INVALID_ARGUMENT"] > 100


def test_every_method_is_called() -> None:
    assert {method.path.split("/")[1] for method in methods()} == {
        "acestep.gateway.v1.MusicService",
        "acestep.lm.v1.LmService",
        "acestep.dit.v1.DitService",
    }


def test_no_audio_file_kills_its_reader_or_fails_in_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.audio", "1", "3000", str(tmp_path / "last.bin")],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "AUDIO_UNREADABLE" in done.stdout
    assert "'read'" in done.stdout
