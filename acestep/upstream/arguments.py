"""Which arguments a caller changed."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any


def changed(
    function: Callable[..., Any], given: Mapping[str, object], used: Collection[str]
) -> dict[str, object]:
    """The arguments in `given` that are neither `used` nor at their default."""
    parameters = inspect.signature(function).parameters
    return {
        name: given[name]
        for name, parameter in parameters.items()
        if name != "self" and name not in used and given[name] != parameter.default
    }
