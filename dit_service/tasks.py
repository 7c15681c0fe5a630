"""Which tasks are done here, by which models, and what each may ask for."""

from collections.abc import Sequence

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.fields import FieldChecker
from dit_service.engine import ModelCard, Task

TASKS = {
    music_pb2.TASK_UNSPECIFIED: Task.TEXT2MUSIC,
    music_pb2.TASK_TEXT2MUSIC: Task.TEXT2MUSIC,
    music_pb2.TASK_COVER: Task.COVER,
    music_pb2.TASK_REPAINT: Task.REPAINT,
    music_pb2.TASK_LEGO: Task.LEGO,
    music_pb2.TASK_EXTRACT: Task.EXTRACT,
    music_pb2.TASK_COMPLETE: Task.COMPLETE,
}
TURBO_TASKS = (music_pb2.TASK_TEXT2MUSIC, music_pb2.TASK_COVER, music_pb2.TASK_REPAINT)
FULL_TASKS = (*TURBO_TASKS, music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT, music_pb2.TASK_COMPLETE)
"""Tasks on tracks are what turbo models were not trained for (spec dit.md 2.3)."""

MAX_TRACKS = {Task.LEGO: 1, Task.EXTRACT: 1, Task.COMPLETE: len(music_pb2.Track.values()) - 1}


def offered(card: ModelCard) -> tuple[music_pb2.Task, ...]:
    """What this service does with a model, as `GetModelInfo` tells it."""
    return TURBO_TASKS if card.is_turbo else FULL_TASKS


def find_task(check: FieldChecker, message: dit_pb2.RenderJob) -> Task:
    """Raises `AceError` (INVALID) at once for no task: without it nothing else can be judged."""
    if message.task not in TASKS:
        check.refuse("job.task", "must be a known Task", message.task)
        check.done()
    task = TASKS[message.task]
    return Task.COVER if task is Task.TEXT2MUSIC and message.audio_codes else task


def refuse_others(task: Task, card: ModelCard, models: Sequence[ModelCard]) -> None:
    """Raises `AceError` (PRECONDITION) for a task that this model cannot do, and names those that can."""
    if any(TASKS[able] is task for able in offered(card)):
        return
    able = ", ".join(other.revision.name for other in models if not other.is_turbo)
    raise AceError(
        Kind.PRECONDITION,
        "TASK_NEEDS_OTHER_MODEL",
        f"{card.revision.name} is a turbo model and cannot do {task.value};"
        f" {f'use {able}' if able else 'load a base or sft model'}",
        field="task",
        task=task.value,
        models=able,
    )


def has_source(message: dit_pb2.RenderJob) -> bool:
    return message.has_source_audio or message.HasField("source_latents")


def check_source(check: FieldChecker, message: dit_pb2.RenderJob, task: Task) -> None:
    """Refuse a source, or codes, that the task has no use for; and their absence where it needs them."""
    if message.has_source_audio and message.HasField("source_latents"):
        check.refuse("job.source_latents", "must be absent if a source is uploaded", "both")
    if task is Task.COVER and message.audio_codes:
        _refuse_source(check, message, "must be absent: the codes are what is covered")
    elif task is Task.TEXT2MUSIC:
        _refuse_source(check, message, "must be absent: text2music has no source")
    elif not has_source(message):
        check.refuse("job.has_source_audio", f"must be given: {task.value} needs a source", "none")
    if message.audio_codes and task is not Task.COVER:
        rule = f"must be absent: {task.value} follows no codes"
        check.refuse("job.audio_codes", rule, f"{len(message.audio_codes)} codes")


def tracks(check: FieldChecker, message: dit_pb2.RenderJob, task: Task) -> tuple[str, ...]:
    """Names of the tracks, as the model knows them."""
    field, most = "job.tracks", MAX_TRACKS.get(task, 0)
    least, count = min(most, 1), len(message.tracks)
    if not least <= count <= most:  # before any is looked at: there may be millions
        check.refuse(field, f"must have {_count(least, most)} for {task.value}", f"{count} tracks")
        return ()
    names = []
    for track in message.tracks:
        if track not in music_pb2.Track.values() or track == music_pb2.TRACK_UNSPECIFIED:
            check.refuse(field, "must be known Tracks", track)
            return ()
        names.append(music_pb2.Track.Name(track).removeprefix("TRACK_"))
    if len(set(names)) < len(names):
        check.refuse(field, "must differ", ", ".join(names))
    return tuple(names)


def cover_strength(check: FieldChecker, message: dit_pb2.RenderJob, task: Task) -> float:
    """For which share of the steps codes or a source guide."""
    if not message.cover.HasField("audio_cover_strength"):
        return 1.0
    field, strength = "job.cover.audio_cover_strength", message.cover.audio_cover_strength
    check.within(field, strength, 0, 1)
    if strength != 1 and task is not Task.COVER:
        check.refuse(field, "must be absent: nothing is covered", f"{strength:g}")
    return strength


def cover_noise_strength(check: FieldChecker, message: dit_pb2.RenderJob, task: Task) -> float:
    """How near to its source a cover begins."""
    field, strength = "job.cover.cover_noise_strength", message.cover.cover_noise_strength
    check.within(field, strength, 0, 1)
    if strength > 0 and (task is not Task.COVER or message.audio_codes):
        check.refuse(field, "must be absent: no source is covered", f"{strength:g}")
    return strength


def _refuse_source(check: FieldChecker, message: dit_pb2.RenderJob, rule: str) -> None:
    if message.has_source_audio:
        check.refuse("job.has_source_audio", rule, "true")
    if message.HasField("source_latents"):
        check.refuse("job.source_latents", rule, f"{message.source_latents.frame_count} frames")


def _count(least: int, most: int) -> str:
    if least == most:
        return {0: "no track", 1: "exactly 1 track"}[most]
    return f"{least} to {most} tracks"
