"""What all of upstream's dataclasses can do."""

import dataclasses
from typing import Any


class Fields:
    """Base of a dataclass."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]
