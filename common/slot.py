"""A place for what is loaded after the server has started."""

from typing import Generic, TypeVar

from common.errors import AceError, Kind

T = TypeVar("T")


class Slot(Generic[T]):
    """Empty while the service loads: health can be asked, and everything else is told to come back."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value: T | None = None

    def fill(self, value: T) -> None:
        self._value = value

    def get(self) -> T:
        """Raises `AceError` (UNAVAILABLE) until the slot is filled."""
        if self._value is None:
            raise AceError(
                Kind.UNAVAILABLE,
                "LOADING",
                f"{self._name} is still loading; retry later",
                retry_after_s=5.0,
            )
        return self._value
