"""The door to the gateway: who comes in, and how often."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from common.errors import AceError, Kind
from common.tenant import TENANT
from gateway.quotas import Account
from gateway.tenants import Tenants

logger = logging.getLogger(__name__)

SCHEME = "bearer "


class Door:
    """Knows callers by their tokens. Without tenants it stands open, and nothing is limited."""

    def __init__(self, tenants: Tenants | None, quota_shares: int = 1) -> None:
        """`quota_shares` are the gateways that a tenant's limits are divided among."""
        self._tenants = tenants
        self._quota_shares = quota_shares
        self._accounts: dict[str, Account] = {}

    @contextmanager
    def enter(self, metadata: Mapping[str, str | bytes]) -> Iterator[None]:
        """Hold a call's place. Raises `AceError`: UNAUTHENTICATED, or OVERLOADED above a quota."""
        if self._tenants is None:
            yield
            return
        tenant = self._tenants.owner_of(_token(metadata))
        if tenant is None:
            # The same words whatever is wrong: they tell nothing to who guesses.
            raise AceError(
                Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "this server needs a valid bearer token"
            )
        account = self._account(tenant.name)
        account.limits = tenant.limits.share(self._quota_shares)
        TENANT.set(tenant.name)
        with account.call():
            yield

    @property
    def account(self) -> Account:
        """That of the call which the current task works for."""
        return self._account(TENANT.get())

    def _account(self, name: str) -> Account:
        if name not in self._accounts:
            self._accounts[name] = Account(name)
        return self._accounts[name]


def _token(metadata: Mapping[str, str | bytes]) -> str:
    value = metadata.get("authorization", "")
    if isinstance(value, bytes) or not value.lower().startswith(SCHEME):
        return ""
    return value[len(SCHEME) :].strip()
