"""Where a generation through the gateway deliberately differs from the recorded reference, and why.

Beside these hold those of the language model's own replay, whose facts have the same names.
"""

from typing import Any

from common.music import DEFAULT_DURATION_S, MAX_DURATION_S
from tests.lm.replay import rules
from tests.lm.replay.departures import DEPARTURES, Departure
from tests.lm.replay.rules import given
from tests.lm.replay.world import Vector

SONGS = ("decisions", "decisions_newer_upstream")
EVERYTHING = (
    *("plans", "codes", "fails", "task", "songs", "seeds", "progress", "lm_metadata", "audio_codes"),
    *("forced", "guided_plan", "target", "sampling"),
    *("caption", "lyrics", "bpm", "keyscale", "timesignature", "language", "duration"),
    *("cot_bpm", "cot_keyscale", "cot_timesignature", "cot_duration", "cot_vocal_language", "cot_caption"),
)


def params(vector: Vector) -> Any:
    return given(vector).get("params") or {}


def has_source(vector: Vector, ours: Any, theirs: Any) -> bool:
    return ours is None and (bool(params(vector).get("src_audio")) or "source" in vector["name"])


def nothing_said(vector: Vector, ours: Any, theirs: Any) -> bool:
    """The user says nothing in words, which the reference hands on as they are."""
    words = [
        str(params(vector).get(name, "")).strip().lower() for name in ("bpm", "keyscale", "timesignature")
    ]
    return bool({"n/a", "0"} & {*words}) and str(theirs).strip().lower() in ("n/a", "0", "")


def beyond_range(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Out of the documented range: too long, or without any word."""
    words = [params(vector).get(name, "given") for name in ("caption", "lyrics")]
    return (params(vector).get("duration") or 0) > MAX_DURATION_S or not any(words)


def fewer(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Ours tells of phases that theirs tells of too, and of no other, in a batch for all songs at once."""
    phases = [text[: len("Phase 1")] for _, text in ours]
    return phases == sorted(set(phases)) and set(phases) < {text[: len("Phase 1")] for _, text in theirs}


def chunked(vector: Vector, ours: Any, theirs: Any) -> bool:
    return len(theirs) > len(ours) == 2


OWN: tuple[Departure, ...] = (
    Departure(
        reason="a cover needs a source: it is never turned into another task (N1)",
        groups=("decisions",),
        facts=EVERYTHING,
        when=rules.cover_of_nothing,
    ),
    Departure(
        reason="a value that is out of range or of another form is refused, not repaired (Q15)",
        groups=SONGS,
        facts=EVERYTHING,
        when=beyond_range,
    ),
    Departure(
        reason="what says nothing, as 0 or N/A, is not handed on: the plan decides",
        groups=SONGS,
        facts=("bpm", "keyscale", "timesignature", "cot_bpm", "cot_keyscale", "cot_timesignature"),
        when=nothing_said,
    ),
    Departure(
        reason="the planned language is told, as it is used (Q3)",
        groups=SONGS,
        facts=("cot_vocal_language",),
        when=lambda vector, ours, theirs: theirs == "unknown",
    ),
    Departure(
        reason="the planned duration is told, as documented: -1 is no duration (5.6, N1)",
        groups=SONGS,
        facts=("cot_duration",),
        when=lambda vector, ours, theirs: theirs is None,
    ),
    Departure(
        reason="the refined caption is told where it is used, as documented (5.6)",
        groups=SONGS,
        facts=("cot_caption",),
        when=lambda vector, ours, theirs: theirs == "" and bool(ours),
    ),
    Departure(
        reason="only what the model wrote is called its metadata (5.6)",
        groups=SONGS,
        facts=("lm_metadata",),
        when=lambda vector, ours, theirs: ours is None and not vector["expected"]["result"]["error"],
    ),
    Departure(
        reason="what the user fixed is in the plan (3.5, step 7)",
        groups=SONGS,
        facts=("lm_metadata",),
        when=lambda vector, ours, theirs: (
            bool(ours)
            and ours | {name: params(vector).get(name, ours.get(name)) for name in theirs}
            == theirs | {name: params(vector).get(name, value) for name, value in theirs.items()}
        ),
    ),
    Departure(
        reason="a field that cannot be read counts as not written (5.1)",
        groups=SONGS,
        facts=("lm_metadata",),
        when=lambda vector, ours, theirs: "unreadable" in vector["name"],
    ),
    Departure(
        reason="a plan is made once for all songs, and a phase that does not happen is not told",
        groups=SONGS,
        facts=("progress",),
        when=lambda vector, ours, theirs: fewer(vector, ours, theirs) or chunked(vector, ours, theirs),
    ),
    Departure(
        reason="codes without any metadata are written, not refused (Q16)",
        groups=SONGS,
        facts=("progress", "lm_metadata"),
        when=lambda vector, ours, theirs: "items" in str(vector["expected"]["result"]["error"]),
    ),
    Departure(
        reason="a song with a source is as long as that, whatever was planned (N1)",
        groups=SONGS,
        facts=("duration",),
        when=has_source,
    ),
    Departure(
        reason="a song from a source follows that: codes would take its place (dit.md 2.6)",
        groups=SONGS,
        facts=("codes", "target", "sampling"),
        when=rules.task("lego", "complete", "extract"),
    ),
    Departure(
        reason="a length that nobody decided is 120 s, not drawn anew by every part (Q19)",
        groups=SONGS,
        facts=("duration",),
        when=lambda vector, ours, theirs: theirs is None and ours == DEFAULT_DURATION_S,
    ),
    Departure(
        reason="a number written as text is a number",
        groups=("public_calls",),
        facts=("forced",),
        when=lambda vector, ours, theirs: any(
            isinstance(value, str) and value.replace(".", "").isdigit()
            for name, value in (given(vector).get("user_metadata") or {}).items()
            if name in ("bpm", "duration")
        ),
    ),
)

ALL = (*OWN, *DEPARTURES)
