"""The files of a song: its audio, and a .json with all that makes it again."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from acestep.again import request_again
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongFile
from acestep_serve.console import as_dict

MAX_NAME_CHARACTERS = 40
SUFFIXES = (".json", ".png")
"""What may lie beside the audio."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the .json of a song knows of making it again."""

    request: pb.GenerateMusicRequest
    title: str
    """The caption that the song was asked for by, after which its files are called."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A song that was written, and what is known of it so far."""

    audio: Path
    contents: dict[str, Any]

    @classmethod
    def save(
        cls, folder: Path, title: str, file: SongFile, accepted: pb.Accepted, plan: pb.Plan
    ) -> "Sidecar":
        """Write a song under a name that nothing has yet. Raises `OSError`."""
        audio = _free_path(folder, _name(title, file.song), file.suffix)
        audio.write_bytes(file.data)
        contents = {
            "title": title,
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


def read_recipe(path: Path) -> Recipe:
    """Of the song whose .json it is. Raises `OSError`, or `ValueError` for a file of another kind."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        request = ParseDict(contents["again"], pb.GenerateMusicRequest())
        return Recipe(request, contents.get("title", request.caption))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("not the .json of a song") from None
    except ParseError as error:
        raise ValueError(str(error)) from None


def _name(title: str, song: pb.Song) -> str:
    words = re.sub(r"[\W_]+", "-", title.lower()).strip("-")
    return f"{words[:MAX_NAME_CHARACTERS].strip('-') or 'song'}-{song.seeds.dit_seed}"


def _free_path(folder: Path, name: str, suffix: str) -> Path:
    """A path beside which nothing lies yet: nothing made before is overwritten."""
    stem, count = name, 1
    while any((folder / f"{stem}{taken}").exists() for taken in (suffix, *SUFFIXES)):
        count += 1
        stem = f"{name}-{count}"
    return folder / f"{stem}{suffix}"
