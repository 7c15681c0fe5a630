"""What the functions return: upstream's names, order and defaults. Source: the published inference API."""

from dataclasses import dataclass, field
from typing import Any

from acestep.upstream.fields import Fields


@dataclass
class GenerationResult(Fields):
    """Songs; or `success` False, and `error` says why."""

    audios: list[dict[str, Any]] = field(default_factory=list)
    """By song: `path`, `tensor`, `key`, `sample_rate`, `params`, `silent`."""
    status_message: str = ""
    extra_outputs: dict[str, Any] = field(default_factory=dict)
    success: bool = True
    error: str | None = None


@dataclass
class _Described(Fields):
    """How a song is told, first of all fields as upstream has them."""

    caption: str = ""
    lyrics: str = ""
    bpm: int | None = None
    duration: float | None = None
    keyscale: str = ""
    language: str = ""
    timesignature: str = ""


@dataclass
class UnderstandResult(_Described):
    """What the language model heard in audio codes."""

    status_message: str = ""
    success: bool = True
    error: str | None = None


@dataclass
class CreateSampleResult(_Described):
    """A song that was invented."""

    instrumental: bool = False
    status_message: str = ""
    success: bool = True
    error: str | None = None


@dataclass
class FormatSampleResult(_Described):
    """A song that was rewritten."""

    status_message: str = ""
    success: bool = True
    error: str | None = None
