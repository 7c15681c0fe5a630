"""Whose work a call is. Set once, where the caller is known; read where work of several callers meets."""

import re
from contextvars import ContextVar

ANONYMOUS = ""
"""The one tenant of a server that does not ask who calls."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a tenant may be called."""

TENANT: ContextVar[str] = ContextVar("tenant", default=ANONYMOUS)
"""Tenant of the call that the current task works for. Never logged with what a caller wrote."""
