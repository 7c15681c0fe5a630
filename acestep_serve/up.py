"""`acestep-serve up` and `down`: the whole system on one machine."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from acestep_serve import launch, run_dir
from acestep_serve.display import Lines, LiveTable
from acestep_serve.models_command import DEFAULT_MODELS, advice
from acestep_serve.run_dir import AlreadyRunningError
from acestep_serve.supervisor import ServiceFailedError, Timing
from acestep_serve.system import NotStartableError, Ports, System, choose_dits

DEFAULT_RUN_DIR = Path("run")
DEFAULT_PORT = 50050
FIRST_SONG = 'acestep-serve generate --caption "a warm piano ballad" --duration 30'


class Device(Enum):
    CPU = "cpu"
    CUDA = "cuda"


RunDirOption = Annotated[Path, typer.Option("--run-dir", help="Folder for logs and the process id.")]


def up(  # noqa: PLR0913 - each parameter is an option
    *,
    models: Annotated[Path, typer.Option(help="Folder that holds the checkpoints.")] = DEFAULT_MODELS,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.CPU,
    dit: Annotated[
        list[str] | None,
        typer.Option(help="Diffusion model to load, instead of the turbo one; repeat for more."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gateway.")] = DEFAULT_PORT,
    lm_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the language model service.")
    ] = 50051,
    dit_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the diffusion service.")] = 50052,
    metrics_port_base: Annotated[
        int, typer.Option(help="Metrics of gateway, lm and dit are at this port, +1 and +2; 0 for none.")
    ] = 9050,
    run_folder: RunDirOption = DEFAULT_RUN_DIR,
    ready_timeout: Annotated[float, typer.Option(help="Seconds until all services must be ready.")] = 600.0,
    detach: Annotated[bool, typer.Option("--detach", help="Return once ready; `down` stops it.")] = False,
) -> None:
    """Start all services on this machine, and keep them running until Ctrl-C."""
    try:
        dits = choose_dits(models, tuple(dit or ()))
    except NotStartableError as error:
        _fail(f"{error}; {advice(models)}")
    ports = Ports(port, lm_port, dit_port, metrics_port_base)
    system = System(models, device.value, ports, run_folder, dits)
    if detach:
        if not launch.run_in_background(system, ready_timeout, typer.echo):
            raise typer.Exit(1)
        typer.echo(f"{_welcome(system)}\nstop: acestep-serve down --run-dir {run_folder}")
    else:
        _run_here(system, Timing(ready_s=ready_timeout))


def down(run_folder: RunDirOption = DEFAULT_RUN_DIR) -> None:
    """Stop the system that `up` started in the run folder, and wait until it has stopped."""
    if not run_dir.stop(run_folder):
        _fail(f"nothing runs in {run_folder}")
    typer.echo("stopped")


def _run_here(system: System, timing: Timing) -> None:
    console = Console()
    names = [service.name for service in system.services()]
    display = LiveTable(console, names) if console.is_terminal else Lines(sys.stdout)

    def on_ready() -> None:
        display.ready()
        display.say(f"{_welcome(system)}\nstop: Ctrl-C")

    try:
        launch.run(system, timing, display, on_ready)
    except (AlreadyRunningError, NotStartableError, ServiceFailedError) as error:
        display.ready()
        _fail(str(error))


def _welcome(system: System) -> str:
    elsewhere = f" --address {system.address}" if system.ports.gateway != DEFAULT_PORT else ""
    return f"ready: gateway at {system.address}, logs in {system.run_dir}\nnext: {FIRST_SONG}{elsewhere}"


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
