"""The cases as they are on disk, read and checked; the format is in conformance/README.md."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep_serve.conformance.conditions import BrokenCase, lookup

FOLDER = Path(__file__).parent / "cases"
VARIABLE = re.compile(r"\$\{([^}]+)\}")
FILE = "file:"


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and what must come of it."""

    method: str
    expect: Mapping[str, Any]
    """Conditions by path into what came: see `calls`."""
    request: Any = None
    """A message as protobuf JSON."""
    requests: list[Any] | None = None
    """The messages of a client that streams, instead of `request`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Replaces what the runner would send under the same name."""
    deadline_seconds: float | None = None
    cancel_at: Any = None
    """The call is cancelled at the first event that has all these values."""
    within_seconds: float = 0.0
    """For so long the step is tried again until what is expected holds."""
    save: str = ""
    """Name of the variable that keeps what came."""


@dataclass(frozen=True, slots=True)
class Case:
    folder: Path
    """Holds its file, and those that it names."""
    subject: str
    """The name of its file."""
    name: str
    steps: tuple[Step, ...]
    requires: Mapping[str, Any]
    """Conditions by path into the variables; without them the case says nothing of this server."""


def load(folder: Path = FOLDER) -> list[Case]:
    """All cases, by subject. Raises `OSError`, and `BrokenCase` for a file that holds none."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise BrokenCase(f"{folder} holds no *.json")
    return [case for path in files for case in _cases_of(path)]


def _cases_of(path: Path) -> list[Case]:
    try:
        return [
            Case(
                path.parent,
                path.stem,
                case["name"],
                tuple(Step(**step) for step in case["steps"]),
                case.get("requires", {}),
            )
            for case in json.loads(path.read_text())["cases"]
        ]
    except (ValueError, KeyError, TypeError) as error:  # no text, no JSON, or no cases
        raise BrokenCase(f"{path}: {error!r}") from None


def filled(value: Any, variables: Mapping[str, Any], folder: Path) -> Any:
    """A copy with every `${...}` replaced by what it names; files are in `folder`. Raises `BrokenCase`."""
    if isinstance(value, dict):
        return {key: filled(item, variables, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, variables, folder) for item in value]
    if not isinstance(value, str):
        return value
    if (whole := VARIABLE.fullmatch(value)) is not None:
        return _named(whole[1], variables, folder)
    return VARIABLE.sub(lambda match: str(_named(match[1], variables, folder)), value)


def _named(name: str, variables: Mapping[str, Any], folder: Path) -> Any:
    if name.startswith(FILE):
        path = folder / name.removeprefix(FILE)
        try:
            return base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise BrokenCase(f"{path}: {error.strerror}") from None
    found = lookup(variables, name)
    if found is None:
        raise BrokenCase(f"${{{name}}} names nothing")
    return found
