"""What the diffusion is asked to do for a song, and its complaints in the words of our contract."""

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.gateway.v1 import music_service_pb2 as pb
from common.errors import AceError, Kind, Violation, invalid_fields

FIELD_NAMES = {
    "job.finish.": "output.",
    "job.metadata.language": "vocal_language",
    "job.metadata.": "",
    "job.has_source_audio": "source_audio_id",
    "job.has_reference_audio": "reference_audio_id",
    "job.": "",
    "sampling.": "lm.sampling.",
    "cfg_scale": "lm.cfg_scale",
    "negative_prompt": "lm.negative_prompt",
    "metadata.": "",
    "fixed.": "",
}
"""Our names for the fields of the stages' requests, by prefix; the first that fits counts."""


def render_job(request: pb.GenerateMusicRequest, plan: pb.Plan, song: pb.Song) -> dit_pb.RenderJob:
    """The job of `song`, whose codes are known by now. `request` has its defaults filled in."""
    job = dit_pb.RenderJob(
        model=request.model,
        task=request.task,
        metadata=plan.metadata,
        lyrics=plan.lyrics,
        audio_codes=song.audio_codes,
        seed=song.seeds.dit_seed,
        tracks=request.tracks,
        has_source_audio=request.HasField("source_audio_id"),
        has_reference_audio=request.HasField("reference_audio_id"),
        finish=dit_pb.Finish(
            enable_normalization=request.output.enable_normalization
            if request.output.HasField("enable_normalization")
            else None,
            normalization_db=request.output.normalization_db,
            fade_in_seconds=request.output.fade_in_seconds,
            fade_out_seconds=request.output.fade_out_seconds,
        ),
        return_latents=request.output.return_latents,
        stream_audio=request.output.stream_audio,
    )
    if request.audio_codes:
        # The codes are the song's length, and may be shorter than a song that is asked for. What is
        # asked for goes into the prompt, and the diffusion warns if the two differ.
        job.metadata.ClearField("duration_seconds")
        if request.HasField("duration_seconds"):
            job.metadata.duration_seconds = request.duration_seconds
    if request.HasField("instruction"):
        job.instruction = request.instruction
    for name in ("diffusion", "cover", "repaint", "source_latents"):
        if request.HasField(name):
            getattr(job, name).CopyFrom(getattr(request, name))
    return job


def in_our_words(error: AceError) -> AceError:
    """A stage's error about its request, with the fields named as in `GenerateMusicRequest`."""
    if error.kind is not Kind.INVALID or not error.violations:
        return error
    renamed = tuple(Violation(_our_name(item.field), item.rule, item.value) for item in error.violations)
    return invalid_fields(renamed, error.reason)


def _our_name(field: str) -> str:
    for prefix, name in FIELD_NAMES.items():
        if field.startswith(prefix):
            return name + field.removeprefix(prefix)
    return field
