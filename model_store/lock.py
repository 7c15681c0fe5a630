"""`models.lock.json`: what a models folder was filled with, so that it can be filled the same way again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK_FILE = "models.lock.json"


@dataclass(frozen=True, slots=True)
class Locked:
    """One fetched checkpoint."""

    repository: str
    revision: str
    sha256: dict[str, str]
    """Path in the checkpoint's folder -> digest of every fetched file."""


def read(models: Path) -> dict[str, Locked]:
    """By checkpoint name; empty if nothing was fetched yet."""
    path = models / LOCK_FILE
    if not path.is_file():
        return {}
    return {name: Locked(**entry) for name, entry in json.loads(path.read_text()).items()}


def write(models: Path, locked: dict[str, Locked]) -> None:
    """Replaces the file in one step, so that a crash leaves the old one or the new one."""
    content = {name: asdict(locked[name]) for name in sorted(locked)}
    fresh = models / f"{LOCK_FILE}.new"
    fresh.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    fresh.replace(models / LOCK_FILE)
