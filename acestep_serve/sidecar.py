"""The files of a song: its audio, and a .json with all that makes it again."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep.again import request_again
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongFile
from acestep_serve.console import as_dict

MAX_NAME_CHARACTERS = 40
SUFFIXES = (".json", ".png")
"""What may lie beside the audio."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A song that was written, and what is known of it so far."""

    audio: Path
    contents: dict[str, Any]

    @classmethod
    def save(cls, folder: Path, file: SongFile, accepted: pb.Accepted, plan: pb.Plan) -> "Sidecar":
        """Write a song under a name that nothing has yet. Raises `OSError`."""
        audio = _free_path(folder, _name(accepted.effective, file.song), file.suffix)
        audio.write_bytes(file.data)
        contents = {
            "song": as_dict(file.song),
            "plan": as_dict(plan),
            "again": as_dict(request_again(accepted.effective, plan, file.song)),
            "request": as_dict(accepted.effective),
            "plan_seed": str(accepted.plan_seed),
        }
        sidecar = cls(audio, contents)
        sidecar._write()
        return sidecar

    def complete(self, result: pb.GenerateMusicResult) -> None:
        """Add what is known at the end: models, revisions, times."""
        self.contents["result"] = as_dict(result)
        self._write()

    def _write(self) -> None:
        text = json.dumps(self.contents, ensure_ascii=False, indent=2)
        # Codes are many and short: a line of them reads better than a page.
        text = re.sub(r"\[[\d\s,]+\]", lambda match: " ".join(match.group().split()), text)
        self.audio.with_suffix(".json").write_text(text, encoding="utf-8")


def read_request(path: Path) -> dict[str, Any]:
    """The request that makes a song again. Raises `OSError`, or `ValueError` for a file of another kind."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["again"])
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("not the .json of a song") from None


def _name(request: pb.GenerateMusicRequest, song: pb.Song) -> str:
    words = re.sub(r"[\W_]+", "-", request.caption.lower()).strip("-")
    return f"{words[:MAX_NAME_CHARACTERS].strip('-') or 'song'}-{song.seeds.dit_seed}"


def _free_path(folder: Path, name: str, suffix: str) -> Path:
    """A path beside which nothing lies yet: nothing made before is overwritten."""
    stem, count = name, 1
    while any((folder / f"{stem}{taken}").exists() for taken in (suffix, *SUFFIXES)):
        count += 1
        stem = f"{name}-{count}"
    return folder / f"{stem}{suffix}"
