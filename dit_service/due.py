"""Work that goes well together with others' like it. Knows nothing of what the work is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self


class Due(ABC):
    """A piece of work that a job waits for.

    Whoever runs jobs may do several of a group at once; what nobody did is done alone as soon as
    its job goes on. A job learns of a failure then, and of no other's.
    """

    @property
    @abstractmethod
    def group(self) -> object:
        """What may be done together has the same."""

    @abstractmethod
    def do_together(self, all_due: Sequence[Self]) -> None:
        """Do as many of a group, this one among them, as the device can."""
