"""A machine with only the client: the command works without what servers need."""

import subprocess
import sys
from pathlib import Path

EXTRAS = """
    torch vllm transformers diffusers soxr huggingface_hub safetensors tokenizers matplotlib cryptography
    prometheus_client grpc_status grpc_reflection google.rpc opentelemetry
""".split()
"""What the extras install."""
PROBE = f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS}))\nfrom acestep_serve import cli\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """`code` where only the client is installed."""
    return subprocess.run(
        [sys.executable, "-c", PROBE + code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(f"sys.argv[1:] = {[*arguments]}\ncli.main()")


def test_the_command_starts_without_the_libraries_of_the_services() -> None:
    done = run("")

    assert done.returncode == 0, done.stderr


def test_up_says_that_the_services_are_not_installed() -> None:
    done = command("up", "--models", "models_micro")

    assert done.returncode == 1
    assert done.stderr == (
        "the services are not installed here (no cryptography, torch, vllm); in a clone, `make up` installs"
        " and starts them\n"
    )


def test_generate_says_before_the_work_that_it_cannot_draw() -> None:
    done = command("generate", "--caption", "x", "--picture", "--address", "localhost:1")

    assert done.returncode == 2
    assert "needs matplotlib: pip install '.[picture]'" in done.stderr
