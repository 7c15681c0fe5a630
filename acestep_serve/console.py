"""Talk to people and to programs: addresses, errors, exit codes, JSON."""

import asyncio
import json
import re
import signal
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape

from acestep.client import Client
from acestep.errors import ServiceError
from acestep_serve import unreachable
from acestep_serve.program import program

out = Console(soft_wrap=True, highlight=False)
"""Results."""
err = Console(stderr=True, soft_wrap=True, highlight=False)
"""Progress and complaints."""

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_UNAVAILABLE = 3
EXIT_OVERLOADED = 4
EXIT_CANCELLED = 130

EXIT_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: EXIT_REFUSED,
    grpc.StatusCode.UNAUTHENTICATED: EXIT_REFUSED,
    grpc.StatusCode.NOT_FOUND: EXIT_REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: EXIT_REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: EXIT_REFUSED,
    grpc.StatusCode.UNAVAILABLE: EXIT_UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: EXIT_OVERLOADED,
}

Address = Annotated[
    str, typer.Option("--address", envvar="ACESTEP_ADDRESS", help="The gateway, as host:port.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0.1, help="Deadline in seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
DEFAULT_ADDRESS = "localhost:50050"

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
PLACE = re.compile(r"\[\d+\]")
"""Of an element in a repeated field."""


class RefusedError(Exception):
    """What was asked for cannot be done as it is; the message names the option."""


def run(work: Coroutine[Any, Any, None], address: str, flags: Mapping[str, str] = NO_OPTIONS) -> None:
    """Run `work` to its end. Ctrl-C and SIGTERM cancel it, and the server's work with it.

    `flags` are the options that set the fields of the request, by field: a refusal names them.
    """
    with exit_codes(address, flags):
        asyncio.run(_cancelled_by_signals(work))


@contextmanager
def exit_codes(address: str, flags: Mapping[str, str] = NO_OPTIONS) -> Iterator[None]:
    """Exits with 1 failed, 2 refused, 3 server not reachable, 4 no room, 130 cancelled."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        err.print("cancelled")
        raise typer.Exit(EXIT_CANCELLED) from None
    except ServiceError as error:
        print_error(error, address, flags)
        raise typer.Exit(_exit_code(error)) from None
    except RefusedError as error:
        err.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(EXIT_REFUSED) from None
    except (OSError, ValueError) as error:  # a file of the user's, most often
        err.print(f"[red]{escape(_complaint(error))}[/]")
        raise typer.Exit(EXIT_FAILED) from None


def _exit_code(error: ServiceError) -> int:
    return EXIT_UNAVAILABLE if _is_no_gateway(error) else EXIT_CODES.get(error.code, EXIT_FAILED)


def _complaint(error: OSError | ValueError) -> str:
    """What is wrong, without the number that Python puts before it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


async def _cancelled_by_signals(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    # SIGINT too: Python leaves it ignored in a process that a shell has put into the background.
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    await task


async def upload(client: Client, option: str, path: Path, timeout_s: float | None) -> str:
    """Upload the file of `option`; its id. Raises `RefusedError` if it cannot be read, or is refused."""
    try:
        with err.status(f"uploading {escape(str(path))}"):
            return (await client.upload(path, timeout_s)).audio_id
    except OSError as error:
        raise RefusedError(f"{option} {path}: {error.strerror}") from None
    except ServiceError as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        complaint = "; ".join(f"{item.rule}; received {item.value}" for item in error.violations)
        raise RefusedError(f"{option} {path}: {complaint}") from None


def print_error(error: ServiceError, address: str, flags: Mapping[str, str]) -> None:
    if error.code is grpc.StatusCode.UNAVAILABLE and not error.facts:
        why = unreachable.why(error.message, address)
        err.print(f"[red]no gateway answers at {escape(address)}[/]: {escape(why)}")
        err.print(escape(unreachable.advice(why, address)))
    elif _is_no_gateway(error):
        err.print(f"[red]what answers at {escape(address)} is no gateway, or an older one[/]")
    elif error.code is grpc.StatusCode.DEADLINE_EXCEEDED and not error.facts:  # gRPC itself ended the call
        err.print(f"[red]{error.code.name}[/] it took longer than --timeout allows")
    elif error.violations:
        for item in error.violations:
            named = _named(item.field, flags)
            err.print(f"[red]{escape(named)}[/] {escape(item.rule)}; received {escape(item.value)}")
    else:
        field = error.facts.get("field", "")
        message = error.message.removeprefix(field)
        named = _named(field, flags) if message != error.message else ""
        err.print(f"[red]{error.code.name}[/] {escape(named + message)}")
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        err.print(f"a token goes into ACESTEP_TOKEN; `{escape(program())} tokens new` makes one")
    if error.retry_after_s is not None:
        err.print(f"retry in {error.retry_after_s:g} s")


def _is_no_gateway(error: ServiceError) -> bool:
    """Whether gRPC itself says that there is no such method; a gateway that refuses gives a reason."""
    return error.code is grpc.StatusCode.UNIMPLEMENTED and error.reason == error.code.name


def _named(field: str, flags: Mapping[str, str]) -> str:
    """The option that sets `field`, and which of its values is meant; the field itself if there is none."""
    flag = flags.get(PLACE.sub("", field), field)
    place = PLACE.search(field)
    return f"{flag} (number {int(place.group()[1:-1]) + 1})" if place and flag != field else flag


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON-ready values under its proto names."""
    return dict(
        MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
