"""Requests into engine types: every field is checked, every absent one gets its default."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    SAMPLE_RATE_HZ,
    UNKNOWN_LANGUAGE,
)
from dit_service import region_fields, tasks
from dit_service.diffusion_fields import check_diffusion
from dit_service.engine import Latents, ModelCard, RenderJob, SourceLatents, SourceSound, Task
from dit_service.finish import Finish

SOURCE_UPLOAD = "source_audio"
REFERENCE_UPLOAD = "reference_audio"
MAX_INSTRUCTION_CHARACTERS = 512
MAX_LATENT_FRAMES = int(MAX_DURATION_S) * LATENT_RATE_HZ


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """A render, and what its caller wants of it."""

    job: RenderJob
    card: ModelCard
    finish: Finish
    return_latents: bool
    uploads: tuple[str, ...]
    """Fields of the files that follow, in their order."""
    given_duration_s: float | None
    """What the caller thinks the song's length to be."""
    warnings: tuple[str, ...]

    @property
    def awaits_source(self) -> bool:
        """Whether the job's length is still unknown."""
        return SOURCE_UPLOAD in self.uploads and self.job.source is None


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
        f"model {name[:64]!r} is not loaded; loaded are {loaded}",
        loaded=loaded,
    )


def render_order(
    message: dit_pb2.RenderJob, models: Sequence[ModelCard], latent_channels: int
) -> RenderOrder:
    """Raises `AceError`: INVALID for bad fields, and what `find_model` and `tasks.refuse` raise."""
    card = find_model(message.model, models)
    check = FieldChecker()
    task = tasks.find_task(check, message)
    tasks.refuse_others(task, card, models)
    tasks.check_source(check, message, task)
    job, warnings = _job(check, message, card, task)
    splices = job.keeping is not None and job.keeping.splices
    order = RenderOrder(
        job=job,
        card=card,
        finish=_finish(check, "job.finish", message.finish, normalizes=not splices),
        return_latents=message.return_latents,
        uploads=_uploads(message),
        given_duration_s=_given_duration(check, message.metadata),
        warnings=(*warnings, *_level_warning(message) * splices),
    )
    source = None
    if message.HasField("source_latents"):
        latents = _latents(check, "job.source_latents", message.source_latents, latent_channels)
        source = SourceLatents(latents)
    check.done()
    return with_source(order, source) if source else order


def with_source(order: RenderOrder, source: SourceSound | SourceLatents) -> RenderOrder:
    """The order with what it works on. Raises `AceError` (INVALID) if its regions do not fit."""
    region_fields.refuse_misplaced(order.job.regions, source.sample_count)
    duration_s = source.sample_count / SAMPLE_RATE_HZ
    job = replace(order.job, source=source, duration_s=duration_s)
    given_s, warnings = order.given_duration_s, order.warnings
    if given_s is not None and abs(given_s - duration_s) >= 1:
        told = f"the prompt says {duration_s:.1f} s, the length of the source, not {given_s:g} s"
        warnings = (*warnings, told)
    return replace(order, job=job, warnings=warnings)


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


def _job(
    check: FieldChecker, message: dit_pb2.RenderJob, card: ModelCard, task: Task
) -> tuple[RenderJob, tuple[str, ...]]:
    """The job without its files, and what may surprise about it."""
    diffusion, moved = check_diffusion(check, "job.diffusion", message.diffusion, card)
    codes = check.codes("job.audio_codes", message.audio_codes, card.code_count, MAX_CODES)
    duration_s, remarks = _duration(message.metadata, codes, tasks.has_source(message))
    keeping = region_fields.keeping(check, message.repaint, task, message.has_source_audio)
    job = RenderJob(
        model=card.revision.name,
        task=task,
        instruction=check.text("job.instruction", message.instruction, MAX_INSTRUCTION_CHARACTERS) or None,
        caption=check.text("job.metadata.caption", message.metadata.caption, MAX_CAPTION_CHARACTERS),
        lyrics=check.text("job.lyrics", message.lyrics, MAX_LYRICS_CHARACTERS),
        language=_language(check, message.metadata),
        bpm=_bpm(check, message.metadata),
        keyscale=_keyscale(check, message.metadata),
        timesignature=_timesignature(check, message.metadata),
        duration_s=duration_s,
        audio_codes=codes,
        audio_cover_strength=tasks.cover_strength(check, message, task),
        seed=check.seed("job.seed", message.seed) if message.HasField("seed") else secrets.randbits(63),
        diffusion=diffusion,
        tracks=tasks.tracks(check, message, task),
        regions=region_fields.regions(check, message.repaint, task),
        keeping=keeping,
        cover_noise_strength=tasks.cover_noise_strength(check, message, task),
    )
    if keeping and not keeping.splices and message.repaint.mode != music_pb2.REPAINT_MODE_AGGRESSIVE:
        remarks = (*remarks, "source_latents hold no samples: what surrounds the regions is decoded anew")
    return job, (*moved, *remarks)


def _uploads(message: dit_pb2.RenderJob) -> tuple[str, ...]:
    announced = (
        (SOURCE_UPLOAD, message.has_source_audio),
        (REFERENCE_UPLOAD, message.has_reference_audio),
    )
    return tuple(field for field, follows in announced if follows)


def _level_warning(message: dit_pb2.RenderJob) -> tuple[str, ...]:
    if not message.finish.HasField("enable_normalization"):
        return ("the song keeps the level of its source: it is not normalised",)
    if message.finish.enable_normalization:
        return ("normalisation also changes the level of what is kept of the source",)
    return ()


def _given_duration(check: FieldChecker, metadata: music_pb2.SongMetadata) -> float | None:
    if not metadata.HasField("duration_seconds"):
        return None
    return check.duration("job.metadata.duration_seconds", metadata.duration_seconds)


def _duration(
    metadata: music_pb2.SongMetadata, codes: tuple[int, ...], has_source: bool
) -> tuple[float, tuple[str, ...]]:
    """Seconds for the prompt and, without codes, for the song; and what may surprise about them.

    A source, once it is there, decides both.
    """
    if has_source:
        return 0.0, ()
    coded_s = len(codes) / CODE_RATE_HZ
    if not metadata.HasField("duration_seconds"):
        if codes:
            return coded_s, ()
        return DEFAULT_DURATION_S, (f"no duration was given: the song gets {DEFAULT_DURATION_S:g} s",)
    given_s = metadata.duration_seconds
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


def _finish(check: FieldChecker, field: str, message: dit_pb2.Finish, normalizes: bool = True) -> Finish:
    defaults = Finish(normalizes)
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
    if message.channel_count != channels:
        check.refuse(f"{field}.channel_count", f"must be {channels}", message.channel_count)
    if message.channel_count != channels or not 1 <= frames <= MAX_LATENT_FRAMES:
        return np.empty((0, channels), np.float32)  # how many bytes there must be nobody knows
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
