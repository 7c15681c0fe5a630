"""Check the fields of a request, and report every bad one at once."""

import math
import re
from collections.abc import Sequence

from common.errors import Violation, invalid_fields
from common.music import (
    KEYSCALES,
    LANGUAGES,
    MAX_BPM,
    MAX_DURATION_S,
    MAX_SEED,
    MIN_BPM,
    MIN_DURATION_S,
    TIMESIGNATURES,
)

METERS = {"2/4": "2", "3/4": "3", "4/4": "4", "6/8": "6"}
KEY_PATTERN = re.compile(r"([A-Ga-g])([#b♯♭]?)\s*(.*)", re.DOTALL)
KEY_MODES = {
    "": "major",
    "M": "major",
    "major": "major",
    "maj": "major",
    "minor": "minor",
    "min": "minor",
    "m": "minor",
}


MAX_VIOLATIONS = 16
"""More would not fit a status, which travels in headers of 8 KiB."""


class FieldChecker:
    """Collects violations; `done` raises them together.

    Checks return the value, so that a valid one can be used at once.
    """

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def refuse(self, field: str, rule: str, value: object) -> None:
        self._violations.append(Violation(field, rule, str(value)))

    def done(self) -> None:
        """Raises `AceError` (INVALID) if any check failed."""
        if self._violations:
            raise invalid_fields(tuple(self._violations[:MAX_VIOLATIONS]))

    def within(self, field: str, value: float, low: float, high: float) -> float:
        if not (math.isfinite(value) and low <= value <= high):
            self.refuse(field, f"must be within [{low:g}, {high:g}]", f"{value:.12g}")
        return value

    def integer(self, field: str, value: int, low: int, high: int) -> int:
        if not low <= value <= high:
            self.refuse(field, f"must be within [{low}, {high}]", value)
        return value

    def text(self, field: str, value: str, max_characters: int) -> str:
        if len(value) > max_characters:
            self.refuse(field, f"must have at most {max_characters} characters", f"{len(value)} characters")
        return value

    def one_of(self, field: str, value: str, allowed: Sequence[str]) -> str:
        if value not in allowed:
            self.refuse(field, f"must be one of {', '.join(allowed)}", _short(value))
        return value

    def seed(self, field: str, value: int) -> int:
        return self.integer(field, value, 0, MAX_SEED)

    def bpm(self, field: str, value: int) -> int:
        return self.integer(field, value, MIN_BPM, MAX_BPM)

    def duration(self, field: str, value: float) -> float:
        return self.within(field, value, MIN_DURATION_S, MAX_DURATION_S)

    def language(self, field: str, value: str) -> str:
        return self.one_of(field, value, LANGUAGES)

    def timesignature(self, field: str, value: str) -> str:
        """`4` and `4/4` mean the same; only the upper number is used."""
        if value in METERS:
            return METERS[value]
        return self.one_of(field, value, TIMESIGNATURES)

    def keyscale(self, field: str, value: str) -> str:
        """The key in its normal form: `c Minor`, `Cm` and `C min` all mean `C minor`."""
        key = _normal_key(value)
        if key is None:
            self.refuse(
                field,
                "must be a note A to G, optionally # or b, and major or minor, as F# minor",
                _short(value),
            )
            return value
        return key

    def codes(self, field: str, codes: Sequence[int], code_count: int, max_codes: int) -> tuple[int, ...]:
        if len(codes) > max_codes:
            self.refuse(field, f"must have at most {max_codes} codes", f"{len(codes)} codes")
            return ()  # there may be millions, and the event loop waits
        for place, code in enumerate(codes):
            if not 0 <= code < code_count:
                self.refuse(f"{field}[{place}]", f"must be within [0, {code_count - 1}]", code)
                break  # one example says it; thousands would not fit the status
        return tuple(codes)


def _normal_key(text: str) -> str | None:
    match = KEY_PATTERN.fullmatch(text.strip())
    if match is None:
        return None
    note, accidental, mode = match.groups()
    mode = KEY_MODES.get(mode if mode in KEY_MODES else mode.lower())
    key = f"{note.upper()}{accidental} {mode}"
    return key if key in KEYSCALES else None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
