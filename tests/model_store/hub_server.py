"""A model hub on localhost: the two endpoints that fetching needs, with real bytes over a socket."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

REVISION = "a" * 40
INFO = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)/revision/(?P<revision>[^/?]+)")
FILE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
LARGE = (".safetensors", ".pt")


class HubServer(ThreadingHTTPServer):
    """Serves `repositories`: repository -> path -> content, all at `REVISION`."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.announced_bytes: dict[str, int] = {}
        """Sizes to lie about, by path."""
        self.damaged: set[str] = set()
        """Paths whose bytes are changed on the way."""
        self.cut_after: dict[str, list[int]] = {}
        """By path: after how many bytes the next answers break off."""
        self.broken: set[str] = set()
        """Paths that are answered with an internal error."""
        self.asked: list[tuple[str, str | None]] = []
        """Path and Range header of every request for a file."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def info(self, repository: str) -> dict[str, object]:
        return {
            "id": repository,
            "sha": REVISION,
            "siblings": [self._sibling(path, text) for path, text in self.repositories[repository].items()],
        }

    def _sibling(self, path: str, content: bytes) -> dict[str, object]:
        size = self.announced_bytes.get(path, len(content))
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        sibling: dict[str, object] = {"rfilename": path, "size": size, "blobId": blob}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"size": size, "sha256": sha256, "pointerSize": 130}
        return sibling


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self) -> None:
        url = unquote(self.path)
        if match := INFO.match(url):
            self._info(match["repository"], match["revision"])
        elif match := FILE.match(url):
            self._file(match["repository"], match["path"])
        else:
            self._answer(404, b"")

    def _info(self, repository: str, revision: str) -> None:
        if repository not in self.server.repositories:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision != REVISION:
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            body = json.dumps(self.server.info(repository)).encode()
            self._answer(200, body, {"Content-Type": "application/json"})

    def _file(self, repository: str, path: str) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((path, asked))
        if path in self.server.broken:
            self._answer(500, b"")
            return
        content = self.server.repositories[repository][path]
        if path in self.server.damaged:
            content = bytes(byte ^ 1 for byte in content)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        cuts = self.server.cut_after.get(path)
        self._answer(206 if asked else 200, content[start:], cut_after=cuts.pop(0) if cuts else None)

    def _answer(
        self, code: int, body: bytes, headers: dict[str, str] | None = None, cut_after: int | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `asked` instead."""


@contextmanager
def hub_of(repositories: dict[str, dict[str, bytes]]) -> Iterator[HubServer]:
    with HubServer(repositories) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
