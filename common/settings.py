"""Read a frozen settings dataclass from the environment, once, at start-up."""

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

BOOLS = {"true": True, "1": True, "false": False, "0": False}


class SettingsError(ValueError):
    """A variable is missing, malformed or unknown; the message names it."""


def load(cls: type[T], prefix: str, environ: Mapping[str, str] = os.environ) -> T:
    """Build `cls` from `{prefix}_{FIELD}` variables; a field with no default is required.

    A tuple is written with commas. Raises `SettingsError`, naming the variable, if one is
    missing, malformed or unknown.
    """
    hints = get_type_hints(cls)
    names = {f"{prefix}_{field.name.upper()}": field for field in fields(cls)}  # type: ignore[arg-type]
    unknown = [name for name in environ if name.startswith(f"{prefix}_") and name not in names]
    if unknown:
        raise SettingsError(
            f"unknown settings: {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}"
        )
    values: dict[str, Any] = {}
    for name, field in names.items():
        if name in environ:
            values[field.name] = _parse(name, environ[name], hints[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SettingsError(f"{name} is required")
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError(f"{prefix}: {error}") from None


def _parse(name: str, text: str, kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):  # `T | None`: an empty text is None
        (kind,) = (part for part in get_args(kind) if part is not type(None))
        if not text:
            return None
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(_parse(name, part.strip(), item) for part in text.split(",") if part.strip())
    try:
        return BOOLS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise SettingsError(f"{name}={text!r} is not a valid {kind.__name__}") from None
