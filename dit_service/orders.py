"""Requests into engine types: every field is checked, every absent one gets its default."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind, invalid
from common.fields import FieldChecker
from common.music import (
    CODE_RATE_HZ,
    DEFAULT_DURATION_S,
    LATENT_RATE_HZ,
    MAX_CAPTION_CHARACTERS,
    MAX_CODES,
    MAX_DURATION_S,
    MAX_LYRICS_CHARACTERS,
    UNKNOWN_LANGUAGE,
)
from dit_service import tasks
from dit_service.diffusion_fields import check_diffusion
from dit_service.engine import Latents, ModelCard, RenderJob
from dit_service.finish import Finish

MAX_INSTRUCTION_CHARACTERS = 512
MAX_LATENT_FRAMES = int(MAX_DURATION_S) * LATENT_RATE_HZ


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """A render, and what its caller wants of it."""

    job: RenderJob
    card: ModelCard
    finish: Finish
    return_latents: bool
    has_reference: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecodeOrder:
    source: Latents | tuple[int, ...]
    card: ModelCard
    finish: Finish


@dataclass(frozen=True, slots=True)
class EncodeOrder:
    card: ModelCard
    with_codes: bool
    with_latents: bool


def find_model(name: str, models: Sequence[ModelCard]) -> ModelCard:
    """The named model, or the first for no name. Raises `AceError` (NOT_FOUND)."""
    for card in models:
        if name in ("", card.revision.name):
            return card
    loaded = ", ".join(card.revision.name for card in models)
    raise AceError(
        Kind.NOT_FOUND,
        "MODEL_NOT_LOADED",
        f"model {name!r} is not loaded; loaded are {loaded}",
        loaded=loaded,
    )


def render_order(message: dit_pb2.RenderJob, models: Sequence[ModelCard]) -> RenderOrder:
    """Raises `AceError`: INVALID for bad fields, and what `find_model` and `tasks.refuse` raise."""
    card = find_model(message.model, models)
    check = FieldChecker()
    tasks.check_fields(check, message)
    tasks.refuse_others(message, card, models)
    diffusion, warnings = check_diffusion(check, "job.diffusion", message.diffusion, card)
    codes = check.codes("job.audio_codes", message.audio_codes, card.code_count, MAX_CODES)
    duration_s, remarks = _duration(check, message.metadata, codes)
    job = RenderJob(
        model=card.revision.name,
        instruction=check.text("job.instruction", message.instruction, MAX_INSTRUCTION_CHARACTERS) or None,
        caption=check.text("job.metadata.caption", message.metadata.caption, MAX_CAPTION_CHARACTERS),
        lyrics=check.text("job.lyrics", message.lyrics, MAX_LYRICS_CHARACTERS),
        language=_language(check, message.metadata),
        bpm=_bpm(check, message.metadata),
        keyscale=_keyscale(check, message.metadata),
        timesignature=_timesignature(check, message.metadata),
        duration_s=duration_s,
        audio_codes=codes,
        audio_cover_strength=tasks.cover_strength(check, message),
        seed=check.seed("job.seed", message.seed) if message.HasField("seed") else secrets.randbits(63),
        diffusion=diffusion,
    )
    finish = _finish(check, "job.finish", message.finish)
    check.done()
    return RenderOrder(
        job, card, finish, message.return_latents, message.has_reference_audio, (*warnings, *remarks)
    )


def decode_order(
    request: dit_pb2.DecodeRequest, models: Sequence[ModelCard], latent_channels: int
) -> DecodeOrder:
    """Raises `AceError`: INVALID for bad fields, NOT_FOUND for a model that is not loaded."""
    card = find_model(request.model, models)
    check = FieldChecker()
    finish = _finish(check, "finish", request.finish)
    source: Latents | tuple[int, ...] = ()
    match request.WhichOneof("source"):
        case "latents":
            source = _latents(check, "latents", request.latents, latent_channels)
        case "audio_codes":
            codes = request.audio_codes.codes
            source = check.codes("audio_codes.codes", codes, card.code_count, MAX_CODES)
            if not source:
                check.refuse("audio_codes.codes", "must have at least 1 code", "0 codes")
        case _:
            check.refuse("source", "must be latents or audio_codes", "neither")
    check.done()
    return DecodeOrder(source, card, finish)


def encode_order(header: dit_pb2.EncodeAudioRequest.Header, models: Sequence[ModelCard]) -> EncodeOrder:
    """Raises `AceError`: INVALID if nothing is asked for, NOT_FOUND for a model that is not loaded."""
    card = find_model(header.model, models)
    with_codes = header.codes if header.HasField("codes") else True
    if not (with_codes or header.latents):
        raise invalid("header.codes", "must be true unless latents are asked for", "false")
    return EncodeOrder(card, with_codes, header.latents)


def _duration(
    check: FieldChecker, metadata: music_pb2.SongMetadata, codes: tuple[int, ...]
) -> tuple[float, tuple[str, ...]]:
    """Seconds for the prompt and, without codes, for the song; and what may surprise about them."""
    coded_s = len(codes) / CODE_RATE_HZ
    if not metadata.HasField("duration_seconds"):
        if codes:
            return coded_s, ()
        return DEFAULT_DURATION_S, (f"no duration was given: the song gets {DEFAULT_DURATION_S:g} s",)
    given_s = check.duration("job.metadata.duration_seconds", metadata.duration_seconds)
    if codes and abs(given_s - coded_s) >= 1 / CODE_RATE_HZ:
        return given_s, (f"the song gets the {coded_s:g} s of its codes; the prompt says {given_s:g} s",)
    return given_s, ()


def _language(check: FieldChecker, metadata: music_pb2.SongMetadata) -> str:
    if not metadata.HasField("language"):
        return UNKNOWN_LANGUAGE
    return check.language("job.metadata.language", metadata.language)


def _bpm(check: FieldChecker, metadata: music_pb2.SongMetadata) -> int | None:
    return check.bpm("job.metadata.bpm", metadata.bpm) if metadata.HasField("bpm") else None


def _keyscale(check: FieldChecker, metadata: music_pb2.SongMetadata) -> str | None:
    if not metadata.HasField("keyscale"):
        return None
    return check.keyscale("job.metadata.keyscale", metadata.keyscale)


def _timesignature(check: FieldChecker, metadata: music_pb2.SongMetadata) -> str | None:
    if not metadata.HasField("timesignature"):
        return None
    return check.timesignature("job.metadata.timesignature", metadata.timesignature)


def _finish(check: FieldChecker, field: str, message: dit_pb2.Finish) -> Finish:
    defaults = Finish()
    wanted = message.HasField
    decibels = message.normalization_db if wanted("normalization_db") else defaults.normalization_db
    fade_in_s = message.fade_in_seconds if wanted("fade_in_seconds") else defaults.fade_in_s
    fade_out_s = message.fade_out_seconds if wanted("fade_out_seconds") else defaults.fade_out_s
    return Finish(
        enable_normalization=message.enable_normalization
        if wanted("enable_normalization")
        else defaults.enable_normalization,
        normalization_db=check.within(f"{field}.normalization_db", decibels, -60, 0),
        fade_in_s=check.within(f"{field}.fade_in_seconds", fade_in_s, 0, 60),
        fade_out_s=check.within(f"{field}.fade_out_seconds", fade_out_s, 0, 60),
    )


def _latents(check: FieldChecker, field: str, message: music_pb2.Latents, channels: int) -> Latents:
    frames = check.integer(f"{field}.frame_count", message.frame_count, 1, MAX_LATENT_FRAMES)
    check.integer(f"{field}.channel_count", message.channel_count, channels, channels)
    expected = frames * channels * 4
    if len(message.data) != expected:
        rule = f"must have {expected} bytes: {frames} frames of {channels} float32"
        check.refuse(f"{field}.data", rule, f"{len(message.data)} bytes")
        return np.empty((0, channels), np.float32)
    values = np.frombuffer(message.data, "<f4").astype(np.float32).reshape(frames, channels)
    if not np.isfinite(values).all():
        check.refuse(f"{field}.data", "must be finite", "NaN or infinity")
    elif not values.any():
        check.refuse(f"{field}.data", "must not be all zero: that is no sound of the codec", "all zero")
    return values
