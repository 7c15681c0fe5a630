"""`acestep-serve tokens`: make the tokens that a gateway asks for."""

import json
from typing import Annotated

import typer

from common.tenant import NAME
from common.tokens import digest_of, new_token

tokens_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Tokens for callers of a gateway."
)


@tokens_app.callback()
def tokens() -> None:
    """Keeps `new` a command of its own while it is the only one."""


@tokens_app.command()
def new(tenant: Annotated[str, typer.Argument(help="Whose it will be.")]) -> None:
    """Make a token for a tenant, print it once, and print what the gateway's file of tenants needs."""
    if not NAME.fullmatch(tenant):
        raise typer.BadParameter("must be 1 to 64 characters of [A-Za-z0-9_-]", param_hint="TENANT")
    token = new_token()
    entry = {"token_sha256": [digest_of(token)]}
    typer.echo(token)
    typer.echo(
        "Above: the token, for the caller; it is kept nowhere. Below: the entry for `tenants` in the\n"
        "file that ACESTEP_GATEWAY_TENANTS names; limits may stand in it (docs/security.md).",
        err=True,
    )
    typer.echo(f"{json.dumps(tenant)}: {json.dumps(entry)}")
