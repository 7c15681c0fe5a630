"""The two digests that the hub gives for files: SHA-256 for large ones, git's blob SHA-1 for the rest."""

import hashlib
from pathlib import Path

BLOCK_BYTES = 16 * 1024 * 1024


def sha256(path: Path) -> str:
    return _of_file(hashlib.sha256(), path)


def git_blob_sha1(path: Path) -> str:
    header = f"blob {path.stat().st_size}\0".encode()
    return _of_file(hashlib.sha1(header, usedforsecurity=False), path)


def _of_file(digest: "hashlib._Hash", path: Path) -> str:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
