"""Fetch released checkpoints: what is missing, in pieces that survive a broken line, and verified.

A file is fetched into `.partial` and moved into its place only when its digest is right, so
everything outside `.partial` is whole. A later pull continues what is there.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from common.errors import AceError, Kind
from common.revision import REVISION_FILE
from model_store import digest, lock
from model_store.hub import Hub, Listing, RemoteFile
from model_store.lock import Locked
from model_store.released import Released

PARTIAL_FOLDER = ".partial"
NEEDED_SUFFIXES = {".json", ".safetensors", ".pt", ".txt", ".jinja"}
"""Not the Python code beside the weights, which nothing here runs, nor pictures and model cards."""


class Reporter(Protocol):
    """Is told how a pull goes on."""

    def checkpoint(self, name: str, revision: str, total_bytes: int, present_bytes: int) -> None: ...

    def advance(self, name: str, received_bytes: int) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the files of one checkpoint go, by path in its folder, and which of them are not there yet."""

    checkpoint: Released
    listing: Listing
    files: dict[str, RemoteFile]
    missing: dict[str, RemoteFile]


class Puller:
    """Fills one models folder."""

    def __init__(self, hub: Hub, models: Path, reporter: Reporter) -> None:
        self._hub = hub
        self._models = models
        self._reporter = reporter

    def pull(self, checkpoints: list[Released], revision: str | None) -> None:
        """Fetch what is missing of `checkpoints`, each at `revision`, else as locked, else as pinned.

        Raises `AceError`: the hub's (see `Hub`), NO_SPACE before anything is fetched, and
        CHECKSUM_MISMATCH with the name of the file.
        """
        self._models.mkdir(parents=True, exist_ok=True)
        plans = [self._plan(checkpoint, revision) for checkpoint in checkpoints]
        self._check_space(sum(file.size for plan in plans for file in plan.missing.values()))
        for plan in plans:
            self._fetch(plan)
        shutil.rmtree(self._models / PARTIAL_FOLDER, ignore_errors=True)

    def _plan(self, checkpoint: Released, revision: str | None) -> _Plan:
        locked = lock.read(self._models).get(checkpoint.name)
        at = revision or (locked.revision if locked else checkpoint.revision)
        listing = self._hub.listing(checkpoint.repository, at)
        files = _files_of(checkpoint, listing)
        if locked and locked.revision == listing.revision:
            _compare(checkpoint, files, locked)
        folder = self._models / checkpoint.name
        missing = {path: file for path, file in files.items() if not file.agrees_with(folder / path)}
        for path in missing:
            if (folder / path).exists():
                self._reporter.note(f"{checkpoint.name}/{path} is damaged or outdated: fetching it again")
        return _Plan(checkpoint, listing, files, missing)

    def _check_space(self, needed: int) -> None:
        partial = sum(file.stat().st_size for file in (self._models / PARTIAL_FOLDER).rglob("*"))
        free = shutil.disk_usage(self._models).free
        if needed - partial > free:
            raise AceError(
                Kind.PRECONDITION,
                "NO_SPACE",
                f"no space left: {(needed - partial) / 1e9:.1f} GB to fetch, {free / 1e9:.1f} GB free"
                f" in {self._models}",
            )

    def _fetch(self, plan: _Plan) -> None:
        name, folder = plan.checkpoint.name, self._models / plan.checkpoint.name
        total = sum(file.size for file in plan.files.values())
        lacking = sum(file.size for file in plan.missing.values())
        self._reporter.checkpoint(name, plan.listing.revision, total, total - lacking)
        if plan.missing:  # until all are there, the folder may hold files of two revisions
            (folder / REVISION_FILE).unlink(missing_ok=True)
        for path, file in plan.missing.items():
            self._fetch_file(plan, path, file)
        (folder / REVISION_FILE).write_text(plan.listing.revision + "\n")
        digests = {path: file.sha256 or digest.sha256(folder / path) for path, file in plan.files.items()}
        entry = Locked(plan.listing.repository, plan.listing.revision, digests)
        lock.write(self._models, {**lock.read(self._models), name: entry})

    def _fetch_file(self, plan: _Plan, path: str, file: RemoteFile) -> None:
        name = plan.checkpoint.name
        partial = self._models / PARTIAL_FOLDER / name / f"{path}.{file.sha256 or file.git_sha1}"
        if partial.exists():
            if partial.stat().st_size > file.size:
                partial.unlink()
            else:
                self._reporter.advance(name, partial.stat().st_size)
        self._hub.fetch(plan.listing, file, partial, lambda count: self._reporter.advance(name, count))
        if not file.agrees_with(partial):
            partial.unlink()  # continuing it would only fail again
            raise _mismatch(f"{name}/{path}", "what was received is not what the hub announced")
        target = self._models / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)


def _files_of(checkpoint: Released, listing: Listing) -> dict[str, RemoteFile]:
    """The files that the services need, by path in the checkpoint's own folder."""
    prefix = f"{checkpoint.folder}/" if checkpoint.folder else ""
    files = {
        file.path.removeprefix(prefix): file
        for file in listing.files
        if file.path.startswith(prefix) and PurePosixPath(file.path).suffix in NEEDED_SUFFIXES
    }
    if not files:
        raise AceError(
            Kind.NOT_FOUND,
            "HUB_NOT_FOUND",
            f"{listing.repository} at {listing.revision} holds no {checkpoint.name}",
        )
    return files


def _compare(checkpoint: Released, files: dict[str, RemoteFile], locked: Locked) -> None:
    """A revision never changes; if the hub's digests differ from ours, one side was tampered with."""
    for path, file in files.items():
        if file.sha256 and file.sha256 != locked.sha256.get(path):
            raise _mismatch(f"{checkpoint.name}/{path}", f"the hub's file differs from {lock.LOCK_FILE}")


def _mismatch(file: str, why: str) -> AceError:
    return AceError(
        Kind.INTERNAL, "CHECKSUM_MISMATCH", f"checksum mismatch in {file}: {why}; pull again", file=file
    )
