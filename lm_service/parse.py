"""Read what the model wrote. Never fails: what cannot be read is left out. Source: spec lm.md 5.1, 5.2.

Departures, for defects listed there in section 7: quotes that YAML put around a value are removed
(Q24), and so are all headings of the lyrics, `# Languages` and its line included (Q23). Lyrics end
where a request may have no more of them, so that what the model writes can be sent back.
"""

import re

import yaml

from common.music import (
    KEYSCALES,
    LANGUAGES,
    MAX_BPM,
    MAX_CAPTION_CHARACTERS,
    MAX_DURATION_S,
    MAX_LYRICS_CHARACTERS,
    MIN_BPM,
    MIN_DURATION_S,
    TIMESIGNATURES,
)
from lm_service.metadata import Metadata

KNOWN_FIELDS = ("bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature")
CODE_PATTERN = re.compile(r"<\|audio_code_\d+\|>")
BLOCK_PATTERNS = (
    re.compile(r"<think>(.*?)</think>", re.S),
    re.compile(r"<reasoning>(.*?)</reasoning>", re.S),
)
LYRICS_HEADER = re.compile(r"^(?:#\s*Languages?\s*\n[^\n]*\n\s*)?#\s*Lyri(?:cs?|s)?\s*\n", re.I)
LONGEST_WORD = 100
BROKEN_TAG = re.compile(rf"\[[^\]\n]{{0,{LONGEST_WORD}}}$")
TAGS = re.compile(r"\[[^\]]*\]")
QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""")
WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


def fields(text: str) -> dict[str, str]:
    """The known fields as written, by name. A repeated field counts as written last."""
    found: dict[str, list[str]] = {}
    name, lines = "", list[str]()
    for line in _block(text).split("\n"):
        if line.lstrip().startswith("<"):
            continue
        if line and not line[0].isspace() and ":" in line:
            head, _, value = line.partition(":")
            name, lines = head.strip().lower(), []
            if value.strip():
                lines.append(value)
        elif line.startswith((" ", "\t")) and name:
            lines.append(line)
        if name in KNOWN_FIELDS and lines:
            found[name] = lines
    return {name: _joined(name, lines) for name, lines in found.items()}


def complete_fields(text: str) -> list[str]:
    """Names of the fields that can no longer change while more of `text` is being written.

    A caption may go on in the next line, so it is complete when something follows it.
    """
    written, newline, _ = text.rpartition("\n")
    if not newline:
        return []
    names = list(fields(written))
    if names and names[-1] == "caption" and not text.partition("</think>")[1]:
        names.pop()
    return names


def metadata(text: str) -> Metadata:
    """The fields whose values are valid; the others count as not written."""
    found = fields(text)
    bpm = _number(found.get("bpm", ""), MIN_BPM, MAX_BPM)
    duration_s = _number(found.get("duration", ""), int(MIN_DURATION_S), int(MAX_DURATION_S))
    caption = found.get("caption", "")
    return Metadata(
        bpm=bpm,
        caption=caption if 0 < len(caption) <= MAX_CAPTION_CHARACTERS else None,
        duration_s=None if duration_s is None else float(duration_s),
        keyscale=_one_of(found.get("keyscale", ""), KEYSCALES),
        language=_one_of(found.get("language", ""), LANGUAGES),
        timesignature=_one_of(found.get("timesignature", ""), TIMESIGNATURES),
        genres=found.get("genres") or None,
    )


def lyrics(text: str) -> str:
    """What stands after the metadata block, without its heading; empty if the block never ended.

    Of more than `MAX_LYRICS_CHARACTERS` the words that fit.
    """
    _, closed, rest = text.partition("</think>")
    if not closed:
        return ""
    rest = LYRICS_HEADER.sub("", rest.strip())
    return _fitting(rest.strip().removesuffix("<|im_end|>").strip(), MAX_LYRICS_CHARACTERS)


def has_words(lyrics: str) -> bool:
    """Whether there is anything to sing: more than `[tags]`."""
    return bool(TAGS.sub("", lyrics).strip())


def _block(text: str) -> str:
    for pattern in BLOCK_PATTERNS:
        if (match := pattern.search(text)) and match[1].strip():
            return match[1].strip()
    match = CODE_PATTERN.search(text)
    return text[: match.start() if match else len(text)].strip()


def _fitting(text: str, room: int) -> str:
    """The words at the beginning of `text` that have at most `room` characters together."""
    if len(text) <= room:
        return text
    # What is longer than a word, as a line in Chinese, is cut where the room ends.
    words = re.match(rf"(?s).{{{room - LONGEST_WORD},{room}}}(?=\s)", text)
    return BROKEN_TAG.sub("", words[0] if words else text[:room]).rstrip()


def _joined(name: str, lines: list[str]) -> str:
    if name == "caption":
        return _unquoted(" ".join(stripped for line in lines if (stripped := line.strip())))
    return _unquoted("\n".join(lines).strip())


def _unquoted(text: str) -> str:
    if not QUOTED.fullmatch(text):
        return text
    try:
        plain = str(yaml.safe_load(text))
    except yaml.YAMLError:
        return text  # the quotes are the author's
    return plain if plain.strip() else text


def _number(text: str, low: int, high: int) -> int | None:
    if not WHOLE_NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if low <= number <= high else None


def _one_of(text: str, allowed: tuple[str, ...]) -> str | None:
    return text if text in allowed else None
