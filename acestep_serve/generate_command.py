"""`acestep-serve generate`: songs from text, into files."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from acestep.client import Client, connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongCollector, SongFile
from acestep_serve import picture as pictures
from acestep_serve.console import (
    DEFAULT_ADDRESS,
    EXIT_FAILED,
    Address,
    AsJson,
    Timeout,
    as_dict,
    err,
    out,
    print_json,
    run,
)
from acestep_serve.live import LiveGeneration
from acestep_serve.options import with_options
from acestep_serve.song_options import SONG_OPTIONS, song_request

MAX_NAME_CHARACTERS = 40


@with_options(SONG_OPTIONS)
def generate(
    *,
    lyrics_file: Annotated[Path | None, typer.Option(help="Read the lyrics from this file.")] = None,
    reference_audio: Annotated[Path | None, typer.Option(help="Audio whose timbre to follow.")] = None,
    src_audio: Annotated[Path | None, typer.Option(help="Audio to work on.")] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where the files go.")] = Path(
        "out"
    ),
    picture: Annotated[bool, typer.Option(help="Draw each song beside its file.")] = False,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = None,
    as_json: AsJson = False,
    **given: Any,
) -> None:
    """Make songs. Each file gets a .json beside it with all that is needed to make it again."""
    request = song_request(given)
    if lyrics_file is not None:
        request.lyrics = lyrics_file.read_text()

    async def work() -> None:
        async with connect(address) as client:
            if reference_audio is not None:
                request.reference_audio_id = (await client.upload(reference_audio)).audio_id
            if src_audio is not None:
                request.source_audio_id = (await client.upload(src_audio)).audio_id
            made = await _make(client, request, output_dir, picture, timeout)
        _report(made, as_json)

    run(work(), address)


class _Made:
    """What came of a generation."""

    def __init__(self) -> None:
        self.accepted = pb.Accepted()
        self.result = pb.GenerateMusicResult()
        self.songs: list[dict[str, Any]] = []


async def _make(
    client: Client, request: pb.GenerateMusicRequest, folder: Path, picture: bool, timeout_s: float | None
) -> _Made:
    made, collector = _Made(), SongCollector()
    with LiveGeneration(err) as live:
        async for event in client.generate(request, timeout_s):
            live.show(event)
            if event.HasField("accepted"):
                made.accepted = event.accepted
            elif event.HasField("result"):
                made.result = event.result
            elif (file := collector.add(event)) is not None:
                made.songs.append(_save(file, folder, made.accepted, picture))
    return made


def _save(file: SongFile, folder: Path, accepted: pb.Accepted, picture: bool) -> dict[str, Any]:
    song = as_dict(file.song)
    if file.song.HasField("error"):
        return song
    folder.mkdir(parents=True, exist_ok=True)
    path = _free_path(folder, _name(accepted.effective, file.song), file.suffix)
    path.write_bytes(file.data)
    song["path"] = str(path)
    if picture:
        song["picture"] = str(path.with_suffix(".png"))
        pictures.draw(path, path.with_suffix(".png"), path.stem)
    path.with_suffix(".json").write_text(_sidecar(song, accepted))
    return song


def _sidecar(song: dict[str, Any], accepted: pb.Accepted) -> str:
    return json.dumps({"song": song, "request": as_dict(accepted.effective)}, ensure_ascii=False, indent=2)


def _name(request: pb.GenerateMusicRequest, song: pb.Song) -> str:
    words = re.sub(r"[\W_]+", "-", request.caption.lower()).strip("-")
    return f"{words[:MAX_NAME_CHARACTERS].strip('-') or 'song'}-{song.seeds.dit_seed}"


def _free_path(folder: Path, name: str, suffix: str) -> Path:
    """A path whose files do not exist yet: nothing made before is overwritten."""
    stem, count = name, 1
    while any((folder / f"{stem}{taken}").exists() for taken in (suffix, ".json", ".png")):
        count += 1
        stem = f"{name}-{count}"
    return folder / f"{stem}{suffix}"


def _report(made: _Made, as_json: bool) -> None:
    if as_json:
        print_json({"songs": made.songs, "result": as_dict(made.result)})
    else:
        for song in made.songs:
            if "error" in song:
                err.print(
                    f"[red]song {song.get('song_index', 0) + 1} failed:[/] {song['error']['message']}"
                )
            else:
                seconds = song["actual_duration_seconds"]
                out.print(f"{escape(song['path'])}  {seconds:g} s, seed {song['seeds']['dit_seed']}")
        timings = made.result.timings
        err.print(
            f"language model {timings['lm_total_time']:.1f} s, diffusion and decoding"
            f" {timings['dit_total_time_cost']:.1f} s, in all {timings['wall_time']:.1f} s"
        )
    if made.result.failed_count:
        raise typer.Exit(EXIT_FAILED)
