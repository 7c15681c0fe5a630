"""Paths into JSON documents, and what may be said of the values there. Pure functions."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)|\[(?P<index>\d+|\*)\]|(?P<dot>\.)")
ZEROS: tuple[Any, ...] = (0, "", False, [], {})
"""What protobuf JSON may leave out."""


class BrokenCase(Exception):
    """A case that says nothing: a bad path, an unknown operator, a request that does not parse."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A condition that does not hold."""

    path: str
    expected: str
    received: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, received {self.received}"


def complaints(document: Any, expected: Mapping[str, Any]) -> list[Complaint]:
    """What of `expected`, conditions by path, does not hold in `document`. Raises `BrokenCase`."""
    found = []
    for path, condition in expected.items():
        value = lookup(document, path)
        operators = condition if isinstance(condition, dict) else {"equals": condition}
        for name, given in operators.items():
            if name not in OPERATORS:
                raise BrokenCase(f"{path}: {name} is no operator")
            operand = lookup(document, given) if name == "same_as" else given
            if not OPERATORS[name](value, operand):
                found.append(Complaint(path, _shown(name, operand), _text(value)))
    return found


def lookup(document: Any, path: str) -> Any:
    """The value at `path`, or None; with `[*]` in it, a list of all values that there are."""
    found = [document]
    for step in _steps(path):
        found = [value for parent in found for value in _children(parent, step)]
    return found if "[*]" in path else next(iter(found), None)


def _steps(path: str) -> Iterator[str | int]:
    end = 0
    for match in STEP.finditer(path):
        if match.start() != end:
            break
        end = match.end()
        if match["name"]:
            yield match["name"]
        elif match["index"]:
            yield match["index"] if match["index"] == "*" else int(match["index"])
    if end != len(path):
        raise BrokenCase(f"{path!r} is no path")


def _children(parent: Any, step: str | int) -> list[Any]:
    if step == "*":
        return parent if isinstance(parent, list) else []
    if isinstance(step, int):
        return parent[step : step + 1] if isinstance(parent, list) else []
    return [parent[step]] if isinstance(parent, dict) and step in parent else []


def _equal(value: Any, operand: Any) -> bool:
    """JSON equality; an absent value equals zero, empty and false."""
    if value is None:
        return operand is None or any(_same(operand, zero) for zero in ZEROS)
    return _same(value, operand)


def _same(one: Any, other: Any) -> bool:
    """Python takes True for 1; JSON does not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _number(value: Any) -> float:
    """64-bit integers are strings in protobuf JSON, and zero may be absent; what is no number is NaN."""
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return math.nan


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _sorted(value: Any) -> list[str]:
    return sorted(map(_text, _list(value)))


def _matches(value: Any, operand: Any) -> bool:
    try:
        pattern = re.compile(operand)
    except (TypeError, re.error) as error:
        raise BrokenCase(f"{operand!r} is no regular expression: {error}") from None
    return isinstance(value or "", str) and pattern.search(value or "") is not None


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equal,
    "differs": lambda value, operand: not _equal(value, operand),
    "same_as": _equal,
    "present": lambda value, operand: (value is not None and value != []) == operand,
    "at_least": lambda value, operand: _number(value) >= _number(operand),
    "at_most": lambda value, operand: _number(value) <= _number(operand),
    "matches": _matches,
    "length": lambda value, operand: len(_list(value)) == operand,
    "contains": lambda value, operand: operand in _list(value),
    "same_members": lambda value, operand: _sorted(value) == _sorted(operand),
    "begins_with": lambda value, operand: _list(value)[: len(_list(operand))] == operand,
    "ends_with": lambda value, operand: _list(value)[-len(_list(operand)) :] == operand,
    "never_falls": lambda value, operand: _never_falls(value) == operand,
}


def _never_falls(values: Any) -> bool:
    return all(_number(later) >= _number(earlier) for earlier, later in pairwise(_list(values)))


def _shown(name: str, operand: Any) -> str:
    return f"{name.replace('_', ' ')} {_text(operand)}"


def _text(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
