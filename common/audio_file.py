"""What an uploaded audio file may be, judged by its first bytes and its header: before it is decoded.

libsndfile reads some thirty formats. Those here are the ones that people have; the rest are
old parsers that nobody but an attacker would feed.
"""

from typing import Protocol

from common.errors import AceError, invalid
from common.music import MAX_DURATION_S

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 32
MAGIC_BYTES = 12
FORMATS = "WAV, FLAC, MP3, Ogg, AIFF, CAF, AU, RF64 or W64"


class Header(Protocol):
    """What libsndfile makes of a file's header."""

    @property
    def frames(self) -> int: ...
    @property
    def samplerate(self) -> int: ...
    @property
    def channels(self) -> int: ...


def check_magic(field: str, head: bytes) -> None:
    """`head` is the file's first `MAGIC_BYTES`. Raises `AceError` (INVALID)."""
    kind, form = head[:4], head[8:12]
    known = (
        kind in (b"fLaC", b"OggS", b"RF64", b"riff", b"caff", b".snd")
        or (kind == b"RIFF" and form == b"WAVE")
        or (kind == b"FORM" and form in (b"AIFF", b"AIFC"))
        or kind[:3] == b"ID3"
        or (len(kind) > 1 and kind[0] == 0xFF and kind[1] & 0xE0 == 0xE0)  # MPEG audio without a tag
    )
    if not known:
        raise unreadable(field, "a file of another kind")


def check_header(field: str, header: Header) -> None:
    """A small file can claim hours, or a thousand channels. Raises `AceError` (INVALID)."""
    if not MIN_RATE_HZ <= header.samplerate <= MAX_RATE_HZ:
        rule = f"must have a sample rate within [{MIN_RATE_HZ}, {MAX_RATE_HZ}] Hz"
        raise invalid(field, rule, f"{header.samplerate} Hz", "AUDIO_UNREADABLE")
    if not 1 <= header.channels <= MAX_CHANNELS:
        rule = f"must have at most {MAX_CHANNELS} channels"
        raise invalid(field, rule, f"{header.channels} channels", "AUDIO_UNREADABLE")
    if header.frames <= 0:
        raise unreadable(field, "no samples")
    if header.frames > MAX_DURATION_S * header.samplerate:
        rule = f"must last at most {MAX_DURATION_S:g} s"
        raise invalid(field, rule, f"{header.frames / header.samplerate:.1f} s", "AUDIO_TOO_LONG")


def unreadable(field: str, why: str) -> AceError:
    return invalid(field, f"must be an audio file that can be read: {FORMATS}", why, "AUDIO_UNREADABLE")
