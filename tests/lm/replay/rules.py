"""When a vector departs: rules over the vector and the two facts that differ. See departures.py."""

from collections.abc import Callable
from typing import Any

from common.music import LANGUAGES
from lm_service.vocabulary import CODE_PATTERN
from tests.lm.replay.world import ABSENT, CODE_COUNT, Vector

Rule = Callable[[Vector, Any, Any], bool]
"""Whether a vector departs, from the vector, our fact and theirs."""


def never(vector: Vector, ours: Any, theirs: Any) -> bool:
    return False


def always(vector: Vector, ours: Any, theirs: Any) -> bool:
    return True


def state(vector: Vector) -> str:
    return str(vector["state_before_call"])


def prefixes(vector: Vector, ours: Any, theirs: Any) -> bool:
    """A name's first or next piece is another one; both are single tokens."""
    return state(vector).endswith("_NAME") and ours is not ABSENT and len(ours) == len(theirs) == 1


def half_a_name(vector: Vector, ours: Any, theirs: Any) -> bool:
    return state(vector).endswith("_NAME") and ours is ABSENT and len(theirs) == 1


def in_caption(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Ours allows less inside a caption, and after one only what a caption can be followed by."""
    if ours is ABSENT:
        return "caption: " in vector["emitted_text"]
    if state(vector) == "CAPTION_VALUE":
        return ours < theirs or len(theirs) == 1
    # Theirs has ended the caption, by a name that is not the next one; for ours it goes on.
    lines = str(vector["emitted_text"]).partition("\ncaption:")[2].split("\n")
    return len(lines) > 1 and not lines[1].startswith("duration:")


def genres(vector: Vector, ours: Any, theirs: Any) -> bool:
    config = vector["config"]
    writes = config.get("skip_genres") is False or bool(config.get("genres"))
    return writes or "genres:" in vector.get("emitted_text", "")


def target_of_value(vector: Vector, ours: Any, theirs: Any) -> bool:
    return state(vector) == "DURATION_VALUE" and "target_duration" in vector["config"]


def own_limit(vector: Vector, ours: Any, theirs: Any) -> bool:
    return state(vector) == "DURATION_VALUE" and "max_duration" in vector["config"] and ours > theirs


def greedy_language(vector: Vector, ours: Any, theirs: Any) -> bool:
    return state(vector) == "LANGUAGE_VALUE" and ours is not ABSENT and theirs < ours


def other_codes(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Codes without a prompt for codes, or a prompt for codes without a plan."""
    asked = vector["config"].get("generation_phase") == "codes"
    in_codes = vector["state_after_call"] == "CODES_GENERATION"
    return (in_codes and not asked) or (asked and not in_codes)


def after_the_block(vector: Vector, ours: Any, theirs: Any) -> bool:
    return state(vector) == "COMPLETED" and ours is not ABSENT and ours < theirs


def fixed_caption(vector: Vector, ours: Any, theirs: Any) -> bool:
    return "caption" in vector["config"].get("user_metadata", {})


def unmasked(vector: Vector, ours: Any, theirs: Any) -> bool:
    return vector["config"].get("enabled") is False and ours is not ABSENT and ours < theirs


def given(vector: Vector) -> Any:
    return vector.get("input") or {}


def name_has(*words: str) -> Rule:
    return lambda vector, ours, theirs: any(word in vector["name"] for word in words)


def marks(vector: Vector, ours: Any, theirs: Any) -> bool:
    return any("<" in str(value) for name, value in given(vector).items() if name != "audio_codes")


def ties(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Ours keeps more, and what it keeps beyond theirs equals something that theirs keeps."""
    extra = [mine for mine, other in zip(ours, theirs, strict=True) if mine != other]
    kept = [other for other in theirs if other != float("-inf")]
    return all(mine in kept for mine in extra)


def ungiven_duration(vector: Vector, ours: Any, theirs: Any) -> bool:
    return theirs is None and ours is not None


def refused(vector: Vector, ours: Any, theirs: Any) -> bool:
    return ours is ABSENT


def refused_unless_ordinary(vector: Vector, ours: Any, theirs: Any) -> bool:
    language = given(vector).get("vocal_language")
    return ours is ABSENT and language not in (*LANGUAGES, None)


def odd_codes(vector: Vector, ours: Any, theirs: Any) -> bool:
    """Codes beyond the code book, or with other text around them."""
    text = str(given(vector).get("audio_codes", ""))
    codes = [int(match[1]) for match in CODE_PATTERN.finditer(text)]
    return bool(CODE_PATTERN.sub("", text)) or any(code >= CODE_COUNT for code in codes)


def numbers_or_other_text(vector: Vector, ours: Any, theirs: Any) -> bool:
    text = str(vector["input"] or "")
    return bool(CODE_PATTERN.sub("", text)) or max(ours) >= CODE_COUNT


def task(*names: str) -> Rule:
    return lambda vector, ours, theirs: any(vector["name"].startswith(name) for name in names)


def cover_of_nothing(vector: Vector, ours: Any, theirs: Any) -> bool:
    params = given(vector).get("params") or {}
    return params.get("task_type") == "cover" and not {"src_audio", "audio_codes"} & params.keys()


def user_fixed(vector: Vector, ours: Any, theirs: Any) -> bool:
    """The stub of these vectors writes the same plan, whatever is forced; the grammar does not."""
    calls = vector["expected"]["lm_calls"]
    forced = next((call["user_metadata"] or {} for call in calls if "user_metadata" in call), {})
    return bool(forced) and all(f"{name}: {value}" in ours for name, value in forced.items())


def unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace("''", "'") if quote == "'" else text[1:-1]
