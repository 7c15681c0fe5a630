"""How this program and what it starts are told to people: as it can be typed here."""

import shutil
import sys
from pathlib import Path

PROGRAM = "acestep-serve"
DEFAULT_MODELS = Path("models")
MICRO_MODELS = Path("models_micro")
"""The trained family that lies in a clone of the repository."""


def program() -> str:
    """This program as it can be typed here: one in an environment that is not active is not on the path."""
    typed = sys.argv[0]
    is_found = shutil.which(PROGRAM) is not None or Path(typed).name != PROGRAM
    return PROGRAM if is_found else typed


def start() -> str:
    """The command that starts a system here, with models that are here."""
    has_released = any(DEFAULT_MODELS.glob("acestep-v15-*"))
    models = f" --models {MICRO_MODELS}" if not has_released and MICRO_MODELS.is_dir() else ""
    return f"{program()} up{models}"
