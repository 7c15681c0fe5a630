"""`acestep-serve generate`: songs from text, into files."""

import importlib.util
from collections.abc import Iterator, Set
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from acestep.client import Client
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongCollector
from acestep_serve.access import connected
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
    upload,
)
from acestep_serve.live import LiveGeneration
from acestep_serve.live_file import LiveFile
from acestep_serve.options import overlay, with_options
from acestep_serve.sidecar import Recipe, Sidecar, read_recipe
from acestep_serve.song_options import SONG_OPTIONS, song_flags, song_request


@with_options(SONG_OPTIONS)
def generate(
    *,
    like: Annotated[Path | None, typer.Option(help="Make the song of this .json again.")] = None,
    lyrics_file: Annotated[Path | None, typer.Option(help="Read the lyrics from this file.")] = None,
    reference_audio: Annotated[Path | None, typer.Option(help="Audio whose timbre to follow.")] = None,
    src_audio: Annotated[Path | None, typer.Option(help="Audio to work on.")] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where files go.")] = Path("out"),
    picture: Annotated[bool, typer.Option(help="Draw each song beside its file.")] = False,
    stream_to: Annotated[
        str | None, typer.Option(help="WAV file for the first song while it is decoded; - for a pipe.")
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = None,
    as_json: AsJson = False,
    **given: Any,
) -> None:
    """Make songs.

    Beside each file lies a .json with its seeds, codes, plan and models; --like makes the song of
    one again, and other options change it.
    """
    recipe = None if like is None else _recipe(like)
    request = _request(given, recipe, lyrics_file)
    title = request.caption if recipe is None or given["caption"] is not None else recipe.title
    if stream_to == "-" and as_json:
        raise typer.BadParameter("standard output takes --json or --stream-to -, not both")
    if picture and importlib.util.find_spec("matplotlib") is None:  # said before the work, not after it
        raise typer.BadParameter("needs matplotlib: pip install '.[picture]'", param_hint="--picture")
    files = {"reference_audio": reference_audio, "src_audio": src_audio}

    async def work() -> None:
        output_dir.mkdir(parents=True, exist_ok=True)  # before the work, not after it
        async with connected(address) as client:
            await _send_files(client, request, files, timeout)
            async with _live_file(request, stream_to) as live_file:
                made = await _make(client, request, output_dir, title, timeout, live_file)
        if picture:
            _draw_all(made)
        _report(made, as_json, console=err if stream_to == "-" else out)

    run(work(), address, song_flags(given))


def _recipe(like: Path) -> Recipe:
    with _option_of_a_file("--like", like):
        return read_recipe(like)


def _request(
    given: dict[str, Any], recipe: Recipe | None, lyrics_file: Path | None
) -> pb.GenerateMusicRequest:
    request = song_request(given)
    if lyrics_file is not None:
        if request.lyrics:
            raise typer.BadParameter("give --lyrics or --lyrics-file, not both")
        with _option_of_a_file("--lyrics-file", lyrics_file):
            request.lyrics = lyrics_file.read_text(encoding="utf-8")
    if recipe is None:
        return request
    if given["seed"] is not None or given["seeds"] is not None:
        recipe.request.ClearField("batch")
    overlay(recipe.request, request)
    return recipe.request


@contextmanager
def _option_of_a_file(option: str, path: Path) -> Iterator[None]:
    """Raises `typer.BadParameter`, with the option and the file, if the file cannot be read."""
    try:
        yield
    except OSError as error:
        raise typer.BadParameter(f"{option} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{option} {path}: not UTF-8") from None
    except ValueError as error:
        raise typer.BadParameter(f"{option} {path}: {error}") from None


async def _send_files(
    client: Client, request: pb.GenerateMusicRequest, files: dict[str, Path | None], timeout_s: float | None
) -> None:
    if (reference := files["reference_audio"]) is not None:
        request.reference_audio_id = await upload(client, "--reference-audio", reference, timeout_s)
    if (source := files["src_audio"]) is not None:
        request.source_audio_id = await upload(client, "--src-audio", source, timeout_s)


@dataclass(slots=True)
class _Made:
    """What came of a generation."""

    accepted: pb.Accepted = field(default_factory=pb.Accepted)
    result: pb.GenerateMusicResult = field(default_factory=pb.GenerateMusicResult)
    songs: list[dict[str, Any]] = field(default_factory=list)
    """As JSON, with the `path` of the file, and that of the `picture`."""


def _live_file(
    request: pb.GenerateMusicRequest, target: str | None
) -> AbstractAsyncContextManager[LiveFile | None]:
    if target is None:
        return nullcontext()
    request.output.stream_audio = True
    return LiveFile(target)


async def _make(
    client: Client,
    request: pb.GenerateMusicRequest,
    folder: Path,
    title: str,
    timeout_s: float | None,
    live_file: LiveFile | None,
) -> _Made:
    made, collector, plan = _Made(), SongCollector(), pb.Plan()
    sidecars: list[Sidecar] = []
    with LiveGeneration(err) as live:
        async for event in client.generate(request, timeout_s):
            live.show(event)
            if live_file is not None:
                live_file.add(event)
            match event.WhichOneof("event"):
                case "accepted":
                    made.accepted = event.accepted
                case "plan":
                    plan = event.plan
                case "result":
                    made.result = event.result
                case _ if (file := collector.add(event)) is not None:
                    made.songs.append(as_dict(file.song))
                    if not file.song.HasField("error"):
                        sidecars.append(Sidecar.save(folder, title, file, made.accepted, plan))
                        made.songs[-1]["path"] = str(sidecars[-1].audio)
    for sidecar in sidecars:
        sidecar.complete(made.result)
    return made


def _draw_all(made: _Made) -> None:
    """A picture beside each file, and its path beside the file's."""
    from acestep_serve.picture import draw  # noqa: PLC0415 - needs matplotlib, which is an extra

    for song in made.songs:
        if "path" in song:
            audio = Path(song["path"])
            draw(audio, audio.with_suffix(".png"), audio.stem)
            song["picture"] = str(audio.with_suffix(".png"))


def _report(made: _Made, as_json: bool, console: Console) -> None:
    if as_json:
        print_json({"songs": made.songs, "result": as_dict(made.result)})
    else:
        for song in made.songs:
            _report_song(song, set(made.accepted.warnings), console)
        timings = made.result.timings
        err.print(
            f"language model {timings['lm_total_time']:.1f} s, diffusion and decoding"
            f" {timings['dit_total_time_cost']:.1f} s, in all {timings['wall_time']:.1f} s"
        )
    if made.result.failed_count:
        raise typer.Exit(EXIT_FAILED)


def _report_song(song: dict[str, Any], told: Set[str], console: Console) -> None:
    """`told` are notes that were shown when the request was accepted."""
    if "error" in song:
        err.print(f"[red]song {song['song_index'] + 1} failed:[/] {escape(song['error']['message'])}")
        return
    for warning in (note for note in song["warnings"] if note not in told):
        err.print(f"[yellow]note:[/] {escape(warning)}")
    if song["silent"]:
        err.print("[yellow]note:[/] the song is silent")
    console.print(
        f"{escape(song['path'])}  {song['actual_duration_seconds']:g} s,"
        f"{_loudness(song.get('loudness', {}))} seed {song['seeds']['dit_seed']}"
    )
    if "picture" in song:
        console.print(escape(song["picture"]))


def _loudness(measured: dict[str, Any]) -> str:
    if "integrated_lufs" not in measured:
        return ""
    return f" {measured['integrated_lufs']:.1f} LUFS, true peak {measured['true_peak_dbtp']:.1f} dBTP,"
