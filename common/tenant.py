"""Whose work a call is. Set once, where the caller is known; read where work of several callers meets."""

from contextvars import ContextVar

ANONYMOUS = ""
"""The one tenant of a server that does not ask who calls."""

TENANT: ContextVar[str] = ContextVar("tenant", default=ANONYMOUS)
"""Tenant of the call that the current task works for. Never logged with what a caller wrote."""
