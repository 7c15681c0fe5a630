"""`acestep-serve models`: fetch checkpoints, list them, build the tiny family."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from acestep_serve.program import DEFAULT_MODELS, MICRO_MODELS, program
from common.errors import AceError
from model_store import inventory, released
from model_store.inventory import Checkpoint

USAGE = 2

models_app = typer.Typer(help="Checkpoints: fetch, list, build.", no_args_is_help=True)

ModelsOption = Annotated[Path, typer.Option("--models", help="Folder that holds the checkpoints.")]


@models_app.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Sets (turbo, base, sft, xl-turbo, turbo-small) or checkpoints."),
    ] = None,
    models: ModelsOption = DEFAULT_MODELS,
    revision: Annotated[
        str | None, typer.Option(help="Take this revision instead of the locked or pinned one.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="Access token of the hub.", envvar="HF_TOKEN")] = None,
) -> None:
    """Fetch released checkpoints; without NAMES, what a complete system needs (the set turbo).

    Stopped half way, it goes on where it was. What is there already is checked, and fetched
    again only if damaged.
    """
    try:
        chosen = released.select(names or ["turbo"])
    except KeyError as error:
        known = ", ".join([*released.SETS, *released.RELEASED])
        _fail(f"unknown name {error}; known are {known}", USAGE)
    try:
        # Needs the hub's library, which a machine with only the client lacks.
        from model_store.hub import Hub  # noqa: PLC0415
        from model_store.pull import Puller  # noqa: PLC0415
    except ModuleNotFoundError as error:
        _fail(f"pull needs {error.name}: install acestep-serve[models]")
    size_gb = sum(checkpoint.size_gb for checkpoint in chosen)
    typer.echo(f"{', '.join(checkpoint.name for checkpoint in chosen)}: about {size_gb:.1f} GB in all")
    try:
        with _Report() as report:
            Puller(Hub(token=token), models, report).pull(chosen, revision)
    except AceError as error:
        _fail(error.message)
    except OSError as error:
        _fail(f"cannot write to {models}: {error.strerror or error}")
    typer.echo(f"complete in {models}; next: {program()} up --models {models}")


@models_app.command("list")
def list_models(
    models: ModelsOption = DEFAULT_MODELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is in the models folder, and which files are missing."""
    checkpoints = inventory.of_folder(models)
    if as_json:
        typer.echo(json.dumps([_as_dict(checkpoint) for checkpoint in checkpoints], indent=2))
    elif checkpoints:
        Console().print(_table(checkpoints))
    else:
        typer.echo(f"no checkpoints in {models}; {advice(models)}")


@models_app.command("build-tiny")
def build_tiny(
    folder: Annotated[Path, typer.Argument(help="Folder to fill; it is made if needed.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 0,
) -> None:
    """Build a tiny family with random weights: it makes noise, within seconds, on any machine."""
    try:
        from model_store import tiny  # noqa: PLC0415 - needs torch, which a machine with only the client lacks
    except ModuleNotFoundError as error:
        _fail(f"build-tiny needs {error.name}: install acestep-serve[dit]")
    try:
        tiny.build(folder, seed)
    except FileExistsError as error:
        _fail(f"{error.filename} is there already; choose another folder")
    except OSError as error:
        _fail(f"cannot write to {folder}: {error.strerror or error}")
    typer.echo(f"built in {folder}; next: {program()} up --models {folder}")


def advice(models: Path) -> str:
    """How to come by checkpoints."""
    return (
        f"run `{program()} models pull --models {models}` for the released ones,"
        f" or `{program()} models build-tiny {models}` for a tiny family that makes noise;"
        f" a clone of the repository has a trained one: `--models {MICRO_MODELS}`"
    )


class _Report:
    """Shows a pull: bars on a terminal, a line per checkpoint elsewhere."""

    def __init__(self) -> None:
        self._console = Console()
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Report":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def checkpoint(self, name: str, revision: str, total_bytes: int, present_bytes: int) -> None:
        self._tasks[name] = self._bars.add_task(name, total=total_bytes, completed=present_bytes)
        if not self._console.is_terminal:
            typer.echo(f"{name} at {revision[:12]}: {(total_bytes - present_bytes) / 1e6:.1f} MB to fetch")

    def advance(self, name: str, received_bytes: int) -> None:
        self._bars.advance(self._tasks[name], received_bytes)

    def note(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)


def _table(checkpoints: list[Checkpoint]) -> Table:
    table = Table("name", "kind", "size", "revision", "state")
    for checkpoint in checkpoints:
        state = f"missing: {', '.join(checkpoint.missing)}" if checkpoint.missing else "complete"
        table.add_row(
            checkpoint.name,
            checkpoint.kind.value,
            f"{checkpoint.size_bytes / 1e6:,.1f} MB",
            (checkpoint.revision or "local")[:12],
            state,
        )
    return table


def _as_dict(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "name": checkpoint.name,
        "kind": checkpoint.kind.value,
        "bytes": checkpoint.size_bytes,
        "revision": checkpoint.revision,
        "complete": not checkpoint.missing,
        "missing": list(checkpoint.missing),
    }


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
