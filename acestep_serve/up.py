"""`acestep-serve up` and `down`: the whole system on one machine."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from acestep_serve import launch, run_dir
from acestep_serve.console import DEFAULT_ADDRESS
from acestep_serve.display import Lines, LiveTable
from acestep_serve.models_command import advice
from acestep_serve.program import DEFAULT_MODELS, program
from acestep_serve.run_dir import AlreadyRunningError
from acestep_serve.supervisor import ServiceFailedError, Timing
from acestep_serve.system import (
    HOST,
    Door,
    NoFamilyError,
    NotStartableError,
    Ports,
    System,
    check_device,
    check_door,
    check_installed,
    choose_dits,
)

DEFAULT_RUN_DIR = Path("run")
DEFAULT_PORT = 50050
FIRST_SONG = 'generate --caption "mellow lo-fi with piano and lo-fi drums" --duration 30'
OPEN_TO_OTHERS = (
    "warning: whoever reaches this machine can use the gateway, and read along;"
    " --tls-certificate with --tls-key and ACESTEP_GATEWAY_TENANTS (docs/security.md) close it"
)


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
    host: Annotated[
        str, typer.Option(help="Where the gateway listens; 0.0.0.0 for all of the machine's addresses.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gateway.")] = DEFAULT_PORT,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM certificate of the gateway, for TLS; with --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM certificate of the CA that clients need a certificate of.")
    ] = None,
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
    door = Door(host, tls_certificate, tls_key, tls_client_ca)
    try:
        check_installed()
        dits = choose_dits(models, tuple(dit or ()))
        check_door(door)
        check_device(device.value)
    except NoFamilyError as error:
        _fail(f"{error}; {advice(models)}")
    except NotStartableError as error:
        _fail(str(error))
    ports = Ports(port, lm_port, dit_port, metrics_port_base)
    system = System(models, device.value, ports, run_folder, dits, door)
    if door.open_to_others:
        typer.echo(OPEN_TO_OTHERS, err=True)
    if detach:
        if not launch.run_in_background(system, ready_timeout, typer.echo):
            raise typer.Exit(1)
        typer.echo(f"{_welcome(system)}\nstop: {program()} down --run-dir {run_folder}")
    else:
        _run_here(system, Timing(ready_s=ready_timeout))


def down(run_folder: RunDirOption = DEFAULT_RUN_DIR) -> None:
    """Stop the system that `up` started in the run folder, and wait until it has stopped."""
    typer.echo("stopped" if run_dir.stop(run_folder) else f"nothing runs in {run_folder}")


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
    tls, over_tls = (" --tls", " over TLS") if system.door.has_tls else ("", "")
    address = system.door.address_from_here(system.ports.gateway)
    here = f" --address {address}" if address != DEFAULT_ADDRESS else ""
    return (
        f"ready: gateway at {system.address}{over_tls}, logs in {system.run_dir}\n"
        f"next: {program()}{tls} {FIRST_SONG}{here}"
    )


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
