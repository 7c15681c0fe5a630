"""Name a checkpoint so that a result can be made again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

REVISION_FILE = ".revision"
"""Written beside fetched weights by `acestep-serve models pull`: the pinned revision, one line."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A checkpoint's folder name, and the revision of what lies in it."""

    name: str
    revision: str


def of_checkpoint(folder: Path) -> Revision:
    """The revision `folder` was fetched at, or `sha256:` and 16 hex digits of its weights' digest."""
    marker = folder / REVISION_FILE
    if marker.is_file():
        return Revision(folder.name, marker.read_text().strip())
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):  # parts of a pipeline have folders of their own
        with path.open("rb") as file:
            while block := file.read(16 * 1024 * 1024):
                digest.update(block)
    return Revision(folder.name, f"sha256:{digest.hexdigest()[:16]}")
