"""The command `acestep-serve`: wires its subcommands, and nothing else."""

import typer

from acestep_serve.capabilities_command import capabilities
from acestep_serve.generate_command import generate
from acestep_serve.models_command import models_app
from acestep_serve.text_commands import create, format_song, understand
from acestep_serve.up import down, up

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Serve ACE-Step 1.5, and use it."
)
app.command()(up)
app.command()(down)
app.command()(generate)
app.command()(understand)
app.command()(create)
app.command("format")(format_song)
app.command()(capabilities)
app.add_typer(models_app, name="models")


def main() -> None:
    app()
