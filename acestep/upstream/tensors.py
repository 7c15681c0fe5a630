"""Arrays as the tensors that upstream's callers expect, where torch is there to make them."""

import functools
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tensor(array: NDArray[np.float32]) -> Any:
    """A torch tensor on the CPU that shares the array's memory; the array itself without torch."""
    torch = _torch()
    return array if torch is None else torch.from_numpy(array)


@functools.cache
def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None
