"""`acestep-serve understand`, `create` and `format`: songs as words."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep_serve.access import connected
from acestep_serve.console import (
    DEFAULT_ADDRESS,
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
from acestep_serve.options import (
    SAMPLING_OPTIONS,
    Option,
    fill,
    flags_by_field,
    parse_codes,
    with_options,
)

UNDERSTAND_OPTIONS = (
    Option("audio_codes", str, "audio_codes.codes", "Codes to describe; '' invents one.", parse_codes),
    Option("audio", Path, "", "Audio file to describe."),
    *SAMPLING_OPTIONS,
)
CREATE_OPTIONS = (
    Option("instrumental", bool, "instrumental", "No vocals."),
    Option("vocal_language", str, "vocal_language", "Language of the vocals, such as en."),
    *SAMPLING_OPTIONS,
)
FORMAT_OPTIONS = (
    Option("caption", str, "caption", "The caption to rewrite."),
    Option("lyrics", str, "lyrics", "The lyrics to rewrite; blank means instrumental."),
    Option("bpm", int, "user_metadata.bpm", "Keep this tempo."),
    Option("duration", float, "user_metadata.duration_seconds", "Keep this length, in seconds."),
    Option("keyscale", str, "user_metadata.keyscale", "Keep this key."),
    Option("timesignature", str, "user_metadata.timesignature", "Keep this time signature."),
    Option("language", str, "user_metadata.language", "Keep this language."),
    *SAMPLING_OPTIONS,
)


@with_options(UNDERSTAND_OPTIONS)
def understand(
    *, address: Address = DEFAULT_ADDRESS, timeout: Timeout = None, as_json: AsJson = False, **given: Any
) -> None:
    """Describe music: caption, lyrics and metadata from codes or from an audio file."""
    audio: Path | None = given["audio"]
    if (given["audio_codes"] is None) == (audio is None):
        raise typer.BadParameter("give --audio-codes or --audio")
    request = pb.UnderstandMusicRequest()
    if audio is None:
        request.audio_codes.SetInParent()  # no codes at all ask for an invented example
    fill(request, UNDERSTAND_OPTIONS, given)

    async def work() -> None:
        async with connected(address) as client:
            if audio is not None:
                request.audio_id = await upload(client, "--audio", audio, timeout)
            await _show(client.understand(request, timeout), as_json)

    run(work(), address, {"audio_id": "--audio"} | flags_by_field(UNDERSTAND_OPTIONS, given))


@with_options(CREATE_OPTIONS)
def create(
    query: Annotated[str, typer.Argument(help="What is wanted, in any words.")],
    *,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = None,
    as_json: AsJson = False,
    **given: Any,
) -> None:
    """Invent a song (caption, lyrics, metadata) from a description in words."""
    request = pb.CreateSampleRequest(query=query)
    fill(request, CREATE_OPTIONS, given)

    async def work() -> None:
        async with connected(address) as client:
            await _show(client.create(request, timeout), as_json)

    run(work(), address, {"query": "QUERY"} | flags_by_field(CREATE_OPTIONS, given))


@with_options(FORMAT_OPTIONS)
def format_song(
    *, address: Address = DEFAULT_ADDRESS, timeout: Timeout = None, as_json: AsJson = False, **given: Any
) -> None:
    """Rewrite a caption and lyrics into the form that the models know best."""
    request = pb.FormatSampleRequest()
    fill(request, FORMAT_OPTIONS, given)
    if not (request.caption.strip() or request.lyrics.strip()):
        raise typer.BadParameter("give --caption or --lyrics; what invents a song is: create")

    async def work() -> None:
        async with connected(address) as client:
            await _show(client.format(request, timeout), as_json)

    run(work(), address, flags_by_field(FORMAT_OPTIONS, given))


async def _show(events: AsyncIterator[Any], as_json: bool) -> None:
    with err.status("waiting for the language model") as status:
        async for event in events:
            if event.HasField("progress"):
                told = event.progress
                status.update(f"{told.token_count} tokens, {told.tokens_per_second:.0f} a second")
            elif event.HasField("queued"):
                status.update(f"waiting: {event.queued.status.position} ahead")
            elif event.HasField("result"):
                result = event.result
    if as_json:
        print_json(as_dict(result))
        return
    description = result.description
    for field, value in as_dict(description.metadata).items():
        out.print(f"{field}: {escape(str(value))}")
    out.print(f"lyrics:\n{escape(description.lyrics)}" if description.lyrics else "lyrics: none")
    err.print(f"seed {description.seed}")
