"""The examples of the upstream inference API, run as programs against real services."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.system.conftest import System

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


def run(system: System, name: str, *arguments: str, cwd: Path, model: str = "acestep-v15-turbo") -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *arguments],
        cwd=cwd,
        env={
            "ACESTEP_ADDRESS": system.address,
            "CONFIG_PATH": model,
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stdout
    return done.stdout


def songs(folder: Path) -> list[tuple[str, float]]:
    """Suffix and length in seconds of each file that was made."""
    files = sorted((folder / "output").iterdir())
    return [(file.suffix, soundfile.info(file).duration) for file in files]


def test_there_are_ten_of_them() -> None:
    assert len(EXAMPLES) == 10
    index = (ROOT / "examples/README.md").read_text()
    assert all(f"]({path.name})" in index for path in (ROOT / "examples").glob("*.py"))


def test_quick_start(system: System, tmp_path: Path) -> None:
    printed = run(system, "quick_start.py", cwd=tmp_path)

    assert "model acestep-v15-turbo" in printed
    assert (
        "Ignored, as models live on the server: project_root='/path/to/project', device='cuda'" in printed
    )
    assert len(re.findall(r"Seed: \d+", printed)) == 2
    assert songs(tmp_path) == [(".flac", 30.0)] * 2


def test_01_text_to_music(system: System, tmp_path: Path) -> None:
    printed = run(system, "01_text_to_music.py", cwd=tmp_path)

    assert "Variation 2: output/" in printed
    assert songs(tmp_path) == [(".flac", 60.0)] * 2


def test_02_song_with_lyrics(system: System, tmp_path: Path) -> None:
    run(system, "02_song_with_lyrics.py", cwd=tmp_path)

    assert songs(tmp_path) == [(".flac", 45.0)]


@pytest.mark.parametrize(("name", "count"), [("03_custom_timesteps.py", 1), ("04_shift.py", 2)])
def test_03_and_04_a_schedule_and_a_shift(system: System, tmp_path: Path, name: str, count: int) -> None:
    run(system, name, cwd=tmp_path)

    made = songs(tmp_path)
    assert len(made) == count
    assert all(10 <= seconds <= 600 for _, seconds in made)


@pytest.mark.parametrize("name", ["05_create_sample.py", "06_format_sample.py"])
def test_05_and_06_a_song_that_the_language_model_words(system: System, tmp_path: Path, name: str) -> None:
    run(system, name, cwd=tmp_path)

    assert len(songs(tmp_path)) == 2


def test_07_style_cover(system: System, tmp_path: Path) -> None:
    tone = np.sin(np.arange(48_000 * 12) / 20) * 0.3
    soundfile.write(tmp_path / "original_pop_song.mp3", tone, 48_000)

    run(system, "07_style_cover.py", cwd=tmp_path)

    ((suffix, seconds),) = songs(tmp_path)
    assert (suffix, round(seconds)) == (".flac", 12)


def test_08_batch_with_seeds(system: System, tmp_path: Path) -> None:
    printed = run(system, "08_batch_with_seeds.py", cwd=tmp_path)

    assert "Generated 4 variations" in printed
    assert re.findall(r"Seed (\d+):", printed)[:3] == ["42", "123", "456"]
    assert len(songs(tmp_path)) == 4


def test_09_high_quality(system: System, tmp_path: Path) -> None:
    run(system, "09_high_quality.py", cwd=tmp_path, model="acestep-v15-base")

    assert [suffix for suffix, _ in songs(tmp_path)] == [".wav"]


def test_10_understand(system: System, tmp_path: Path) -> None:
    printed = run(system, "10_understand.py", "<|audio_code_695|><|audio_code_246|>...", cwd=tmp_path)

    assert re.search(r"Detected BPM: \d+", printed)
    assert re.search(r"Detected Key: [A-G]", printed)
