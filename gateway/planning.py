"""Which language model calls a request needs, and what becomes of their answers. Pure functions.

Source: spec lm.md 6 (which calls happen, what reaches the audio side), with the defects
listed there corrected: the user's values always win, the planned language reaches the
diffusion, and a request without metadata and without planning is no error.
"""

from dataclasses import dataclass

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.music import (
    CODE_RATE_HZ,
    DEFAULT_DURATION_S,
    INSTRUMENTAL_LYRICS,
    MIN_DURATION_S,
    UNKNOWN_LANGUAGE,
)

WITHOUT_LM = {music_pb2.TASK_COVER, music_pb2.TASK_REPAINT, music_pb2.TASK_EXTRACT}
PLANNED = ("bpm", "duration_seconds", "keyscale", "timesignature")


SOURCES = ("source_audio_id", "source_latents")
"""What a song may be made from."""


def has_source(request: pb.GenerateMusicRequest) -> bool:
    return any(request.HasField(name) for name in SOURCES)


@dataclass(frozen=True, slots=True)
class Calls:
    """The language model calls of a request."""

    plan: bool
    codes: bool

    @property
    def any(self) -> bool:
        return self.plan or self.codes


def calls(request: pb.GenerateMusicRequest) -> Calls:
    """What to ask the language model for. `request` has its defaults filled in."""
    if request.task in WITHOUT_LM:
        return Calls(plan=False, codes=False)
    worded = bool(request.caption.strip() or request.lyrics.strip())
    all_given = all(request.HasField(name) for name in PLANNED)
    return Calls(
        plan=request.lm.chain_of_thought.use_cot_metas and worded and not all_given,
        # A song from a source follows its source: codes would take its place (spec dit.md 2.6).
        codes=request.task == music_pb2.TASK_TEXT2MUSIC and request.lm.thinking and not request.audio_codes,
    )


def given_metadata(request: pb.GenerateMusicRequest) -> music_pb2.SongMetadata:
    """What the user fixed. The plan is forced to it."""
    given = music_pb2.SongMetadata()
    for name in PLANNED:
        if request.HasField(name):
            setattr(given, name, getattr(request, name))
    if request.vocal_language != UNKNOWN_LANGUAGE:
        given.language = request.vocal_language
    coded_s = len(request.audio_codes) / CODE_RATE_HZ
    if coded_s >= MIN_DURATION_S and not request.HasField("duration_seconds"):
        given.duration_seconds = coded_s
    return given


def lyrics(request: pb.GenerateMusicRequest) -> str:
    """The lyrics that both stages are given."""
    return INSTRUMENTAL_LYRICS if request.instrumental else request.lyrics


def combine(request: pb.GenerateMusicRequest, planned: music_pb2.SongMetadata | None) -> pb.Plan:
    """What the diffusion is given: the user's values, then the plan's, then nothing.

    `planned` is what the language model wrote, or None if it was not asked.
    """
    metadata = music_pb2.SongMetadata()
    if planned is not None:
        metadata.CopyFrom(planned)
    wishes = request.lm.chain_of_thought
    if not (metadata.caption and wishes.use_cot_caption):
        metadata.caption = request.caption
    if not (metadata.language and wishes.use_cot_language) or request.instrumental:
        metadata.language = UNKNOWN_LANGUAGE
    metadata.MergeFrom(given_metadata(request))
    metadata.ClearField("genres")
    seconds, source = _duration(request, metadata)
    metadata.ClearField("duration_seconds")
    if seconds is not None:
        metadata.duration_seconds = seconds
    return pb.Plan(metadata=metadata, lm_metadata=planned, lyrics=lyrics(request), duration_source=source)


def _duration(
    request: pb.GenerateMusicRequest, metadata: music_pb2.SongMetadata
) -> tuple[float | None, pb.DurationSource]:
    if request.audio_codes:
        return len(request.audio_codes) / CODE_RATE_HZ, pb.DURATION_SOURCE_AUDIO_CODES
    if has_source(request):
        return None, pb.DURATION_SOURCE_SOURCE_AUDIO
    if request.HasField("duration_seconds"):
        return request.duration_seconds, pb.DURATION_SOURCE_REQUEST
    if metadata.HasField("duration_seconds"):
        return metadata.duration_seconds, pb.DURATION_SOURCE_PLAN
    if calls(request).codes:
        return None, pb.DURATION_SOURCE_LM_CODES
    return DEFAULT_DURATION_S, pb.DURATION_SOURCE_DEFAULT


def codes_metadata(request: pb.GenerateMusicRequest, plan: pb.Plan) -> music_pb2.SongMetadata:
    """The reasoning that the codes follow: the plan as it was written, or what the user gave."""
    reasoning = music_pb2.SongMetadata()
    if plan.HasField("lm_metadata"):
        reasoning.CopyFrom(plan.lm_metadata)
    reasoning.MergeFrom(given_metadata(request))
    return reasoning
