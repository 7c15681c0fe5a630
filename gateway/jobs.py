"""What the diffusion is asked to do for a song."""

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.gateway.v1 import music_service_pb2 as pb


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
        has_reference_audio=request.HasField("reference_audio_id"),
        finish=dit_pb.Finish(
            enable_normalization=request.output.enable_normalization,
            normalization_db=request.output.normalization_db,
            fade_in_seconds=request.output.fade_in_seconds,
            fade_out_seconds=request.output.fade_out_seconds,
        ),
        return_latents=request.output.return_latents,
    )
    if request.HasField("instruction"):
        job.instruction = request.instruction
    for name in ("diffusion", "cover", "repaint"):
        if request.HasField(name):
            getattr(job, name).CopyFrom(getattr(request, name))
    return job
