"""Check which regions of a source a request wants made anew, and how it wants the rest kept.

Source: spec dit.md 2.7 (regions) and 3.7 (modes).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from acestep.music.v1 import music_pb2
from common.errors import invalid
from common.fields import FieldChecker
from common.music import MAX_DURATION_S, SAMPLE_RATE_HZ
from dit_service.canvas import Region, lay_out
from dit_service.engine import Keeping, Task

MODES = music_pb2.RepaintMode
BALANCED = (music_pb2.REPAINT_MODE_UNSPECIFIED, music_pb2.REPAINT_MODE_BALANCED)
DEFAULT_STRENGTH = 0.5
MAX_REGIONS = 100

FADE_FRAMES = 25
"""Ramps of a repaint that keeps all it can, in latents."""
FADE_S = 0.05
"""The same in samples."""

FIELD = "job.repaint"


def regions(check: FieldChecker, message: music_pb2.RepaintParams, task: Task) -> tuple[Region, ...]:
    """The regions, in order; for a repaint or lego that names none, all of the source."""
    field = f"{FIELD}.regions"
    if task not in (Task.REPAINT, Task.LEGO):
        if message.regions:
            rule = f"must be absent: {task.value} has no regions"
            check.refuse(field, rule, f"{len(message.regions)} regions")
        return ()
    most = 1 if task is Task.LEGO else MAX_REGIONS
    if len(message.regions) > most:
        check.refuse(field, f"must be at most {most} for {task.value}", f"{len(message.regions)} regions")
        return ()
    wanted = tuple(
        Region(region.start_seconds, region.end_seconds if region.HasField("end_seconds") else None)
        for region in message.regions
    )
    if all([_within(check, f"{field}[{place}]", region) for place, region in enumerate(wanted)]):
        for place, (earlier, later) in enumerate(pairwise(wanted), start=1):
            if earlier.end_s is None or later.start_s < earlier.end_s:
                rule = "must be in order: each starts where the one before has ended, or later"
                check.refuse(f"{field}[{place}].start_seconds", rule, f"{later.start_s:g}")
    return wanted or (Region(0.0, None),)


def keeping(
    check: FieldChecker, message: music_pb2.RepaintParams, task: Task, has_samples: bool
) -> Keeping | None:
    """How what surrounds the regions is kept; only a source that `has_samples` can be spliced."""
    if task is not Task.REPAINT:
        for name in ("mode", "strength"):
            if message.HasField(name):
                check.refuse(f"{FIELD}.{name}", "must be absent: it is for repaint", getattr(message, name))
        return None
    if message.mode not in MODES.values():
        check.refuse(f"{FIELD}.mode", "must be a known RepaintMode", message.mode)
    if message.mode == music_pb2.REPAINT_MODE_AGGRESSIVE:
        kept, splices = 0.0, False
    elif message.mode == music_pb2.REPAINT_MODE_CONSERVATIVE:
        kept, splices = 1.0, has_samples
    else:
        strength = message.strength if message.HasField("strength") else DEFAULT_STRENGTH
        kept, splices = 1 - check.within(f"{FIELD}.strength", strength, 0, 1), has_samples
    if message.HasField("strength") and message.mode not in BALANCED:
        check.refuse(f"{FIELD}.strength", "must be absent: it is for a balanced repaint", message.strength)
    return Keeping(
        held_share=kept,
        latent_fade_frames=round(FADE_FRAMES * kept) if math.isfinite(kept) else 0,
        splices=splices,
        sound_fade_s=FADE_S * kept,
    )


def refuse_misplaced(wanted: Sequence[Region], source_samples: int) -> None:
    """Raises `AceError` (INVALID) for regions that do not fit a source of so many samples."""
    field, length_s = f"{FIELD}.regions", source_samples / SAMPLE_RATE_HZ
    for place, region in enumerate(wanted):
        if region.end_s is None and region.start_s >= length_s:
            rule = f"must be before the source's end, {length_s:g} s, where the region ends"
            raise invalid(f"{field}[{place}].start_seconds", rule, f"{region.start_s:g}")
    total_s = lay_out(source_samples, wanted).sample_count / SAMPLE_RATE_HZ
    if total_s > MAX_DURATION_S:
        rule = f"must not make the song longer than {MAX_DURATION_S:g} s"
        raise invalid(field, rule, f"{total_s:g} s", "AUDIO_TOO_LONG")


def _within(check: FieldChecker, field: str, region: Region) -> bool:
    """Whether the region is a span of time that a song can have."""
    start, end = region.start_s, region.end_s
    for name, value in (("start_seconds", start), ("end_seconds", end)):
        if value is not None and not -MAX_DURATION_S <= value <= MAX_DURATION_S:
            check.within(f"{field}.{name}", value, -MAX_DURATION_S, MAX_DURATION_S)
            return False
    if end is not None and end <= start:
        check.refuse(f"{field}.end_seconds", f"must be after start_seconds, {start:g}", f"{end:g}")
        return False
    return True
