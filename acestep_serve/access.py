"""How the commands reach a gateway that asks for TLS or a token: options before the command's name."""

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from acestep.client import Client, Tls, connect

UseTls = Annotated[bool, typer.Option("--tls", envvar="ACESTEP_TLS", help="Reach the gateway over TLS.")]
Ca = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        envvar="ACESTEP_TLS_CA",
        exists=True,
        dir_okay=False,
        help="PEM file of whom to trust; implies --tls.",
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--tls-certificate",
        envvar="ACESTEP_TLS_CERTIFICATE",
        exists=True,
        dir_okay=False,
        help="PEM file of our own.",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", envvar="ACESTEP_TLS_KEY", exists=True, dir_okay=False, help="PEM file of its key."
    ),
]
Token = Annotated[
    str,
    typer.Option(
        envvar="ACESTEP_TOKEN",
        show_default=False,
        help="What the gateway knows us by. Better in the environment: others see a command line.",
    ),
]


@dataclass(frozen=True, slots=True)
class Access:
    tls: Tls | None
    token: str

    @staticmethod
    def of(use_tls: bool, files: Tls, token: str) -> "Access":
        return Access(files if use_tls or files != Tls() else None, token)


ACCESS: ContextVar[Access] = ContextVar("access", default=Access(None, ""))  # noqa: B039  # frozen
"""What the options before the command's name said."""


def connected(address: str) -> AbstractAsyncContextManager[Client]:
    """A client of the gateway, as the options before the command say."""
    access = ACCESS.get()
    return connect(address, tls=access.tls, token=access.token)
