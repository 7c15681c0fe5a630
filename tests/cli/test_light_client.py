"""A machine with only the client: the command works without what servers need."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "vllm", "transformers", "diffusers", "huggingface_hub", "matplotlib", "prometheus_client")
PROBE = """
import sys
from acestep_serve import cli
loaded = sorted(name for name in {heavy} if name in sys.modules)
sys.exit(f"imported at start: {{loaded}}" if loaded else 0)
"""


def test_the_command_starts_without_the_libraries_of_the_services() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
