"""The one exception that services raise on purpose.

Services raise `AceError`; only `common.status` knows how it looks in gRPC.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What the caller can do about a failure."""

    INVALID = auto()
    """The request can never succeed as it is."""
    UNAUTHENTICATED = auto()
    """The caller has not shown who it is."""
    NOT_FOUND = auto()
    """A named thing does not exist."""
    PRECONDITION = auto()
    """The thing exists but cannot do this."""
    EXISTS = auto()
    """What the caller names is there already."""
    OVERLOADED = auto()
    """No room now; the same request may succeed later."""
    UNAVAILABLE = auto()
    """The service is loading, draining or out of reach."""
    UNIMPLEMENTED = auto()
    """The contract has a place for this, this version does not do it."""
    TIMEOUT = auto()
    """It took longer than it may."""
    CANCELLED = auto()
    """The caller no longer wants it."""
    INTERNAL = auto()
    """A stage failed for a reason of its own; the details are in that stage's log."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that breaks a rule."""

    field: str
    """Path from the request message, such as `diffusion.shift`."""
    rule: str
    """What holds for valid values, such as `must be within [1, 5]`."""
    value: str
    """What was received; texts are described by their length, never quoted."""

    def __str__(self) -> str:
        return f"{self.field} {self.rule}; received {self.value}"


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of one caller that was reached."""

    subject: str
    """Whose it is, such as `tenant:studio`."""
    limit: str
    """In words, such as `at most 8 songs at a time`."""


class AceError(Exception):
    """A failure that the caller can understand and act on.

    `reason` is a stable `UPPER_SNAKE_CASE` name that programs may branch on; `message` is
    for people; `facts` are the values that the message mentions.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after_s: float | None = None,
        quota: Quota | None = None,
        **facts: object,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message
        self.violations = violations
        self.retry_after_s = retry_after_s
        self.quota = quota
        self.facts = {name: str(value) for name, value in facts.items()}


def invalid(field: str, rule: str, value: object, reason: str = "FIELD_INVALID") -> AceError:
    """The error for a single bad field; `common.fields.FieldChecker` collects several."""
    return invalid_fields((Violation(field, rule, str(value)),), reason)


def invalid_fields(violations: tuple[Violation, ...], reason: str = "FIELD_INVALID") -> AceError:
    first = violations[0]
    return AceError(
        Kind.INVALID,
        reason,
        "; ".join(str(violation) for violation in violations),
        violations=violations,
        field=first.field,
        rule=first.rule,
        value=first.value,
    )
