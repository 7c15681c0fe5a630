"""The model hub, as far as fetching needs it: what a repository holds, and one file of it."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils.tqdm import disable_progress_bars

from common.errors import AceError, Kind
from model_store import digest

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository at one revision."""

    path: str
    size: int
    sha256: str | None
    """Only files in large-file storage have one; for the others there is `git_sha1`."""
    git_sha1: str | None

    def agrees_with(self, path: Path) -> bool:
        """Whether `path` holds exactly this file."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return digest.sha256(path) == self.sha256
        return digest.git_blob_sha1(path) == self.git_sha1


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at `revision`, a commit."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]


class Hub:
    """`endpoint` and `token` default to what huggingface_hub finds in its own settings."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._api = HfApi(endpoint=endpoint, token=token)
        self._headers = build_hf_headers(token=token)
        disable_progress_bars()  # the command shows its own

    def listing(self, repository: str, revision: str) -> Listing:
        """Raises `AceError`: NOT_FOUND for the repository or the revision, UNAVAILABLE if out of reach."""
        with _hub_errors(f"{repository} at {revision}"):
            info = self._api.model_info(
                repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        files = (
            RemoteFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None, item.blob_id)
            for item in info.siblings or ()
        )
        return Listing(repository, info.sha or revision, tuple(files))

    def fetch(
        self, listing: Listing, file: RemoteFile, partial: Path, advance: Callable[[int], None]
    ) -> None:
        """Append to `partial` what it lacks of `file`; `advance` is told of every piece, in bytes.

        A broken connection is taken up again a few times; what was received stays in `partial`.
        Raises `AceError` as `listing` does.
        """
        url = hf_hub_url(
            listing.repository, file.path, revision=listing.revision, endpoint=self._api.endpoint
        )
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        with _Watched(partial, advance) as target, _hub_errors(file.path):
            received = target.seek(0, io.SEEK_END)
            http_get(url, target, resume_size=received, headers=self._headers, expected_size=file.size)


class _Watched(io.BufferedRandom):
    """A file that tells how it grows, and, if the hub starts over, how it shrinks."""

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path, "r+"))
        self._advance = advance

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self._advance(written)
        return written

    def truncate(self, position: int | None = None, /) -> int:
        kept = self.tell() if position is None else position
        self._advance(kept - self.seek(0, io.SEEK_END))
        super().truncate(kept)
        return self.seek(kept)


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    """Translate what huggingface_hub raises; the first that fits is the most precise."""
    try:
        yield
    except GatedRepoError:
        raise AceError(
            Kind.PRECONDITION,
            "HUB_GATED",
            f"{what}: access must be granted on the hub first, then use --token",
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise AceError(
            Kind.NOT_FOUND,
            "HUB_NOT_FOUND",
            f"{what}: the hub does not have it, or not for you (private repositories need --token)",
        ) from None
    except HfHubHTTPError as error:
        raise AceError(
            Kind.UNAVAILABLE, "HUB_REFUSED", f"{what}: the hub answered {error.response.status_code}"
        ) from None
    except (httpx2.TransportError, OfflineModeIsEnabled) as error:
        raise AceError(
            Kind.UNAVAILABLE, "HUB_UNREACHABLE", f"{what}: cannot reach the hub; are you online? ({error})"
        ) from None
