"""Which tasks are done here, and what each may ask for."""

from collections.abc import Sequence

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.fields import FieldChecker
from dit_service.engine import ModelCard

OFFERED = (music_pb2.TASK_TEXT2MUSIC,)
"""What works for every model, and is told in `GetModelInfo`."""

NEEDS_FULL_MODEL = (music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT, music_pb2.TASK_COMPLETE)
"""What turbo models were not trained for (spec dit.md 2.3)."""


def check_fields(check: FieldChecker, message: dit_pb2.RenderJob) -> None:
    """Refuse what is no task, and what the task has no use for."""
    if message.task not in music_pb2.Task.values():
        check.refuse("job.task", "must be a known Task", message.task)
        check.done()  # what a task may ask for cannot be told without it
    for track in message.tracks:
        if track not in music_pb2.Track.values() or track == music_pb2.TRACK_UNSPECIFIED:
            check.refuse("job.tracks", "must be known Tracks", track)
    if message.task in (music_pb2.TASK_UNSPECIFIED, music_pb2.TASK_TEXT2MUSIC):
        rule = "must be absent: text2music has no source"
        if message.has_source_audio:
            check.refuse("job.has_source_audio", rule, "true")
        if message.HasField("source_latents"):
            check.refuse("job.source_latents", rule, f"{message.source_latents.frame_count} frames")
        if message.repaint.regions:
            check.refuse("job.repaint.regions", rule, f"{len(message.repaint.regions)} regions")
        if message.tracks:
            check.refuse("job.tracks", rule, f"{len(message.tracks)} tracks")


def refuse_others(message: dit_pb2.RenderJob, card: ModelCard, models: Sequence[ModelCard]) -> None:
    """Raises `AceError` for a task that this model cannot do, or that this service does not do yet."""
    task = message.task
    if task in (music_pb2.TASK_UNSPECIFIED, *OFFERED):
        return
    if task == music_pb2.TASK_COVER and message.audio_codes and not _has_source(message):
        return  # text2music with codes is this very thing (spec dit.md 2.6)
    name = music_pb2.Task.Name(task)
    if task in NEEDS_FULL_MODEL and card.is_turbo:
        able = ", ".join(other.revision.name for other in models if not other.is_turbo)
        raise AceError(
            Kind.PRECONDITION,
            "TASK_NEEDS_OTHER_MODEL",
            f"{card.revision.name} is a turbo model and cannot do {name};"
            f" {f'use {able}' if able else 'load a base or sft model'}",
            task=name,
            models=able,
        )
    raise AceError(Kind.UNIMPLEMENTED, "TASK_NOT_OFFERED", f"{name} is not offered yet", task=name)


def cover_strength(check: FieldChecker, message: dit_pb2.RenderJob) -> float:
    """For which share of the steps codes guide."""
    if not message.cover.HasField("audio_cover_strength"):
        return 1.0
    field, strength = "job.cover.audio_cover_strength", message.cover.audio_cover_strength
    check.within(field, strength, 0, 1)
    if strength != 1 and not message.audio_codes:
        check.refuse(field, "must be absent without audio_codes: nothing is covered", f"{strength:g}")
    return strength


def _has_source(message: dit_pb2.RenderJob) -> bool:
    return message.has_source_audio or message.HasField("source_latents")
