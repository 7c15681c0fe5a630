"""The only module that knows both messages and what they mean inside: validation and defaults."""

import math
import secrets
from dataclasses import replace
from typing import Protocol, TypeVar

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.fields import FieldChecker
from common.lm_sampling import (
    DEFAULT_CFG_SCALE,
    MAX_CFG_SCALE,
    MIN_CFG_SCALE,
    check_sampling,
    with_defaults,
)
from common.music import (
    CODE_RATE_HZ,
    MAX_CAPTION_CHARACTERS,
    MAX_CODES,
    MAX_DURATION_S,
    MAX_LYRICS_CHARACTERS,
    MAX_SEED,
    UNKNOWN_LANGUAGE,
)
from lm_service import prompt
from lm_service.admission import Place
from lm_service.engine import Model
from lm_service.generation import Record
from lm_service.metadata import Metadata
from lm_service.sampling import Sampling
from lm_service.song import Composition, Description, Plan, Wish

DEFAULT_CODES_TOP_P = 0.9
MIN_CODES_S = 1 / CODE_RATE_HZ

Value = TypeVar("Value")


class Request(Protocol):
    """What all requests have."""

    model: str
    sampling: music_pb2.LmSampling


def check_model(request: Request, model: Model) -> None:
    """Raises `AceError` (NOT_FOUND) if another model is asked for."""
    name = model.revision.name
    if request.model not in ("", name):
        raise AceError(
            Kind.NOT_FOUND, "MODEL_NOT_FOUND", f"the model that is loaded is {name}", loaded=name
        )


def wish(request: Request, default_top_p: float) -> Wish:
    """Read `request.sampling`; an absent seed is drawn. Raises `AceError` (INVALID)."""
    check = FieldChecker()
    check_sampling(check, "sampling", request.sampling)
    check.done()
    used = with_defaults(request.sampling, default_top_p)
    return Wish(
        sampling=Sampling(
            temperature=used.temperature,
            top_k=used.top_k,
            top_p=used.top_p,
            repetition_penalty=used.repetition_penalty,
            seed=used.seed if used.HasField("seed") else secrets.randbelow(MAX_SEED + 1),
        ),
        constrained=used.use_constrained_decoding,
        debug=used.constrained_decoding_debug,
    )


def plan(request: pb.PlanRequest) -> Plan:
    """Raises `AceError`: INVALID, or UNIMPLEMENTED for lyrics to be rewritten."""
    thought = request.chain_of_thought
    if thought.use_cot_lyrics:
        raise AceError(Kind.UNIMPLEMENTED, "COT_LYRICS", "no released model rewrites lyrics while it plans")
    check = FieldChecker()
    if not request.caption.strip() and not request.lyrics.strip():
        check.refuse("caption", "must be given if lyrics are not", "neither")
    made = Plan(
        caption=_caption(check, "caption", request.caption),
        lyrics=_lyrics(check, request.lyrics),
        fixed=_fixed(check, request.fixed),
        with_caption=not thought.HasField("use_cot_caption") or thought.use_cot_caption,
        with_language=not thought.HasField("use_cot_language") or thought.use_cot_language,
    )
    check.done()
    return made


def composition(
    request: pb.GenerateCodesRequest, recommended_cfg_scale: float | None = None
) -> Composition:
    """`recommended_cfg_scale` is the model's. Raises `AceError` (INVALID)."""
    check = FieldChecker()
    duration_s = None
    if request.HasField("duration_seconds"):
        duration_s = check.within("duration_seconds", request.duration_seconds, MIN_CODES_S, MAX_DURATION_S)
    metadata = _metadata(check, "metadata", request.metadata)
    if duration_s is None:
        duration_s = metadata.duration_s
    default_scale = DEFAULT_CFG_SCALE if recommended_cfg_scale is None else recommended_cfg_scale
    scale = request.cfg_scale if request.HasField("cfg_scale") else default_scale
    made = Composition(
        caption=_caption(check, "caption", request.caption),
        lyrics=_lyrics(check, request.lyrics),
        metadata=metadata,
        code_count=None if duration_s is None else _code_count(duration_s),
        scale=check.within("cfg_scale", scale, MIN_CFG_SCALE, MAX_CFG_SCALE),
        negative_prompt=_caption(check, "negative_prompt", request.negative_prompt),
    )
    check.done()
    return made


def _code_count(duration_s: float) -> int | None:
    """Whole codes in `duration_s`; None if it is not a number, which has been refused by then."""
    return int(CODE_RATE_HZ * duration_s) if math.isfinite(duration_s) else None


def understanding(request: pb.UnderstandRequest, model: Model) -> Description:
    """Raises `AceError` (INVALID)."""
    check = FieldChecker()
    codes = check.codes("audio_codes", request.audio_codes, model.code_count, MAX_CODES)
    check.done()
    return Description(prompt=prompt.understand(codes), fixed=Metadata(), field="audio_codes")


def sample(request: pb.CreateSampleRequest) -> Description:
    """Raises `AceError` (INVALID)."""
    check = FieldChecker()
    query = _caption(check, "query", request.query)
    language = None
    if request.HasField("vocal_language"):
        language = _fixed_language(check, "vocal_language", request.vocal_language)
    check.done()
    return Description(
        prompt=prompt.create(query, request.instrumental), fixed=Metadata(language=language), field="query"
    )


def formatting(request: pb.FormatSampleRequest) -> Description:
    """Raises `AceError` (INVALID)."""
    check = FieldChecker()
    caption, lyrics = _caption(check, "caption", request.caption), _lyrics(check, request.lyrics)
    fixed = _fixed(check, request.fixed)
    check.done()
    return Description(prompt=prompt.rewrite(caption, lyrics), fixed=fixed, field="lyrics")


def _caption(check: FieldChecker, field: str, value: str) -> str:
    return check.text(field, value, MAX_CAPTION_CHARACTERS)


def _lyrics(check: FieldChecker, value: str) -> str:
    return check.text("lyrics", value, MAX_LYRICS_CHARACTERS)


def _fixed_language(check: FieldChecker, field: str, value: str) -> str | None:
    """`unknown` leaves the language open, so it fixes nothing."""
    return None if check.language(field, value) == UNKNOWN_LANGUAGE else value


def _fixed(check: FieldChecker, given: music_pb2.SongMetadata) -> Metadata:
    if given.HasField("caption"):
        check.refuse("fixed.caption", "must not be given: it is the model's to write", "a caption")
    known = _metadata(check, "fixed", given)
    return replace(known, language=None) if known.language == UNKNOWN_LANGUAGE else known


def _metadata(check: FieldChecker, path: str, given: music_pb2.SongMetadata) -> Metadata:
    has = given.HasField
    return Metadata(
        bpm=check.bpm(f"{path}.bpm", given.bpm) if has("bpm") else None,
        caption=_caption(check, f"{path}.caption", given.caption) if has("caption") else None,
        duration_s=check.duration(f"{path}.duration_seconds", given.duration_seconds)
        if has("duration_seconds")
        else None,
        keyscale=check.keyscale(f"{path}.keyscale", given.keyscale) if has("keyscale") else None,
        language=check.language(f"{path}.language", given.language) if has("language") else None,
        timesignature=check.timesignature(f"{path}.timesignature", given.timesignature)
        if has("timesignature")
        else None,
    )


def metadata(song: Metadata) -> music_pb2.SongMetadata:
    return music_pb2.SongMetadata(
        bpm=song.bpm,
        caption=song.caption,
        duration_seconds=song.duration_s,
        keyscale=song.keyscale,
        language=song.language,
        timesignature=song.timesignature,
        genres=song.genres,
    )


def queued(place: Place) -> music_pb2.QueueStatus:
    return music_pb2.QueueStatus(position=place.position, estimated_wait_seconds=place.wait_s)


def progress(record: Record) -> pb.LmProgress:
    expected = record.job.task.outline.code_count
    rate = record.tokens_per_second
    known = expected is not None and rate > 0
    return pb.LmProgress(
        token_count=len(record.tokens),
        expected_token_count=expected,
        tokens_per_second=rate,
        estimated_remaining_seconds=((expected or 0) - len(record.tokens)) / rate if known else None,
    )


def field(name: str, song: Metadata) -> pb.PlanField:
    """The field that the model calls `name`, under its name in the contract."""
    return pb.PlanField(
        name="duration_seconds" if name == "duration" else name, value=song.text(name) or ""
    )


def usage(record: Record, model: Model) -> pb.LmUsage:
    return pb.LmUsage(
        model=version(model),
        seed=record.job.task.sampling.seed,
        prompt_token_count=record.job.prompt_token_count,
        output_token_count=len(record.tokens),
        queue_seconds=record.queue_s,
        run_seconds=record.run_s,
    )


def version(model: Model) -> music_pb2.ModelVersion:
    return music_pb2.ModelVersion(name=model.revision.name, revision=model.revision.revision)
