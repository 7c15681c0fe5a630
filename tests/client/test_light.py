"""What users install is light: gRPC, protobuf, numpy, soundfile, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import importlib.abc, sys

ALLOWED = {"acestep", "grpc", "google", "numpy", "soundfile", "cffi", "_cffi_backend", "_soundfile",
           "_soundfile_data", "pycparser", "typing_extensions"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED | set(sys.stdlib_module_names) or name.startswith("google.rpc"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Refuse())
import {module}
"""


@pytest.mark.parametrize(
    "module",
    ["acestep.client", "acestep.inference", "acestep.handler", "acestep.llm_inference", "acestep.again"],
)
def test_a_module_of_the_client_is_importable_alone(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.replace("{module}", module)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
