"""The command `acestep-serve`: wires its subcommands, and nothing else."""

from typing import Annotated

import typer

from acestep import __version__
from acestep.client import Tls
from acestep_serve import access
from acestep_serve.capabilities_command import capabilities
from acestep_serve.conformance_command import conformance
from acestep_serve.generate_command import generate
from acestep_serve.models_command import models_app
from acestep_serve.text_commands import create, format_song, understand
from acestep_serve.tokens_command import tokens_app
from acestep_serve.up import down, up


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    tls: access.UseTls = False,
    tls_ca: access.Ca = None,
    tls_certificate: access.Certificate = None,
    tls_key: access.Key = None,
    token: access.Token = "",
) -> None:
    """Serve ACE-Step 1.5, and use it."""
    access.ACCESS.set(access.Access.of(tls, Tls(tls_ca, tls_certificate, tls_key), token))


app = typer.Typer(
    callback=options,
    no_args_is_help=True,
    rich_markup_mode=None,  # its tables cut off long names
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(up)
app.command()(down)
app.command()(generate)
app.command()(understand)
app.command()(create)
app.command("format")(format_song)
app.command()(capabilities)
app.command()(conformance)
app.add_typer(models_app, name="models")
app.add_typer(tokens_app, name="tokens")


def main() -> None:
    app()
