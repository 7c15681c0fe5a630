"""Understand, create and format: requests from upstream's arguments, and results in upstream's shape."""

from collections.abc import Mapping
from typing import Any, TypeVar

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep.upstream.names import Unusable
from acestep.upstream.outcome import described
from acestep.upstream.request import given_text, set_sampling
from acestep.upstream.results import CreateSampleResult, FormatSampleResult, UnderstandResult

Told = TypeVar("Told", UnderstandResult, CreateSampleResult, FormatSampleResult)

TOLD = ("caption", "bpm", "duration", "keyscale", "language", "timesignature")


def sampling(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    repetition_penalty: float,
    use_constrained_decoding: bool,
    constrained_decoding_debug: bool,
) -> music_pb2.LmSampling:
    """Raises `Unusable` for values that are no numbers."""
    try:
        drawn = music_pb2.LmSampling(
            temperature=temperature,
            repetition_penalty=repetition_penalty,
            use_constrained_decoding=use_constrained_decoding,
            constrained_decoding_debug=constrained_decoding_debug,
        )
    except (TypeError, ValueError):
        given = (temperature, repetition_penalty)
        raise Unusable("temperature and repetition_penalty", "must be numbers", given) from None
    set_sampling(drawn, top_k=top_k, top_p=top_p)
    return drawn


def user_metadata(given: Mapping[str, Any] | None) -> music_pb2.SongMetadata:
    """Upstream's dictionary of values that are kept. Raises `Unusable` for one of another type."""
    given = given or {}
    kept = music_pb2.SongMetadata()
    for name, field in (("bpm", "bpm"), ("duration", "duration_seconds")):
        try:
            number = float(given.get(name) or 0)
        except (TypeError, ValueError):
            raise Unusable(f"user_metadata[{name!r}]", "must be a number", given[name]) from None
        if number > 0:
            setattr(kept, field, int(number) if name == "bpm" else number)
    for name in ("keyscale", "timesignature", "language"):
        if text := given_text(given.get(name)):
            setattr(kept, name, text)
    return kept


def told(kind: type[Told], description: pb.SongDescription, nothing: str) -> Told:
    """A result of `kind`; a failure that says `nothing` if the model told nothing."""
    values = {name: value for name, value in described(description.metadata).items() if name in TOLD}
    if kind is CreateSampleResult:
        values["instrumental"] = description.instrumental
    if not values:
        return kind(success=False, error="Empty metadata returned", status_message=nothing)
    return kind(
        lyrics=description.lyrics,
        status_message=f"Completed successfully\nGenerated fields: {', '.join(values)}",
        **values,
    )
