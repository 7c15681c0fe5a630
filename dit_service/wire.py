"""Engine types into messages. Requests are read in `orders`."""

from collections.abc import Iterator

import numpy as np

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.music import CHANNELS, CHUNK_BYTES, LATENT_RATE_HZ, SAMPLE_RATE_HZ, SONG_CHUNK_BYTES
from common.revision import Revision
from dit_service import sampler_fields
from dit_service.defaults import limits
from dit_service.engine import (
    Diffusion,
    Encoding,
    Engine,
    InferMethod,
    Latents,
    ModelCard,
    Phase,
    Progress,
    Song,
    Waveform,
)
from dit_service.finish import Finished
from dit_service.lane import Begun, Waiting
from dit_service.loudness import Loudness
from dit_service.orders import RenderOrder
from dit_service.tasks import offered

SAMPLE_BYTES = CHANNELS * np.dtype(np.float32).itemsize
LIVE_SAMPLES = CHUNK_BYTES // SAMPLE_BYTES
"""In a message of what is heard while it is decoded: 0.7 s, which a listener waits for."""
SONG_SAMPLES = SONG_CHUNK_BYTES // SAMPLE_BYTES

PHASES = {
    Phase.CONDITIONING: dit_pb2.RENDER_PHASE_CONDITIONING,
    Phase.DIFFUSION: dit_pb2.RENDER_PHASE_DIFFUSION,
    Phase.DECODING: dit_pb2.RENDER_PHASE_DECODING,
}
INFER_METHODS = {
    InferMethod.ODE: music_pb2.INFER_METHOD_ODE,
    InferMethod.SDE: music_pb2.INFER_METHOD_SDE,
}


def event(happened: Waiting | Begun | Progress, order: RenderOrder) -> dit_pb2.RenderResponse:
    match happened:
        case Waiting():
            return queued(happened)
        case Begun():
            return started(order)
        case Progress():
            return progress(happened)


def queued(waiting: Waiting) -> dit_pb2.RenderResponse:
    status = music_pb2.QueueStatus(position=waiting.position, estimated_wait_seconds=waiting.estimated_s)
    return dit_pb2.RenderResponse(queued=status)


def started(order: RenderOrder) -> dit_pb2.RenderResponse:
    message = dit_pb2.RenderResponse.Started(
        seed=order.job.seed,
        diffusion=diffusion(order.job.diffusion),
        duration_seconds=None if order.awaits_source else order.job.frame_count / LATENT_RATE_HZ,
        model=version(order.card.revision),
        warnings=order.warnings,
    )
    return dit_pb2.RenderResponse(started=message)


def progress(step: Progress) -> dit_pb2.RenderResponse:
    message = dit_pb2.RenderResponse.Progress(
        phase=PHASES[step.phase], step_count=step.step_count, total_step_count=step.total_step_count
    )
    return dit_pb2.RenderResponse(progress=message)


def audio(waveform: Waveform) -> Iterator[music_pb2.PcmChunk]:
    """Cut `[samples, 2]` into messages of 1 MiB; they are made as they are sent."""
    for start in range(0, len(waveform), SONG_SAMPLES):
        yield _pcm(waveform[start : start + SONG_SAMPLES])


def live_audio(part: Waveform, first_sample: int) -> dit_pb2.RenderResponse:
    message = dit_pb2.RenderResponse.LiveAudio(first_sample=first_sample, chunk=_pcm(part))
    return dit_pb2.RenderResponse(live_audio=message)


def _pcm(part: Waveform) -> music_pb2.PcmChunk:
    return music_pb2.PcmChunk(
        samples=part.astype("<f4", copy=False).tobytes(),
        sample_rate_hertz=SAMPLE_RATE_HZ,
        channel_count=CHANNELS,
    )


def result(
    song: Song, done: Finished, measured: Loudness, queue_s: float, return_latents: bool
) -> dit_pb2.RenderResponse:
    timings = {phase.value: seconds for phase, seconds in song.seconds.items()}
    message = dit_pb2.RenderResponse.Result(
        duration_seconds=len(song.waveform) / SAMPLE_RATE_HZ,
        sample_count=len(song.waveform),
        peak_before_normalization=done.before.peak,
        silent=done.before.silent,
        latents=latents(song.latents) if return_latents else None,
        timings={"queue": queue_s} | timings,
        live_gain=done.gain,
        loudness=loudness(measured),
    )
    return dit_pb2.RenderResponse(result=message)


def decoded(song: Song, done: Finished, measured: Loudness) -> dit_pb2.DecodeResponse:
    message = dit_pb2.DecodeResponse.Result(
        duration_seconds=len(song.waveform) / SAMPLE_RATE_HZ,
        peak_before_normalization=done.before.peak,
        silent=done.before.silent,
        loudness=loudness(measured),
    )
    return dit_pb2.DecodeResponse(result=message)


def loudness(measured: Loudness) -> music_pb2.Loudness:
    return music_pb2.Loudness(
        integrated_lufs=measured.integrated_lufs, true_peak_dbtp=measured.true_peak_dbtp
    )


def encoded(
    encoding: Encoding, card: ModelCard, duration_s: float, with_latents: bool
) -> dit_pb2.EncodeAudioResponse:
    return dit_pb2.EncodeAudioResponse(
        audio_codes=encoding.codes,
        latents=latents(encoding.latents) if with_latents else None,
        duration_seconds=duration_s,
        model=version(card.revision),
    )


def info(
    engine: Engine, max_queued: int, max_calls: int, max_upload_bytes: int, max_songs: int
) -> dit_pb2.GetModelInfoResponse:
    return dit_pb2.GetModelInfoResponse(
        models=[model(card) for card in engine.models],
        vae=version(engine.vae),
        text_encoder=version(engine.text_encoder),
        max_queued_count=max_queued,
        max_upload_bytes=max_upload_bytes,
        max_song_count=max_songs,
        max_call_count=max_calls,
    )


def model(card: ModelCard) -> dit_pb2.DitModel:
    return dit_pb2.DitModel(
        model=version(card.revision),
        is_turbo=card.is_turbo,
        tasks=offered(card),
        defaults=diffusion(limits(card).defaults),
        max_inference_steps=limits(card).max_inference_steps,
        code_count=card.code_count,
    )


def version(revision: Revision) -> music_pb2.ModelVersion:
    return music_pb2.ModelVersion(name=revision.name, revision=revision.revision)


def latents(values: Latents) -> music_pb2.Latents:
    frames, channels = values.shape
    data = values.astype("<f4", copy=False).tobytes()
    return music_pb2.Latents(data=data, frame_count=frames, channel_count=channels)


def diffusion(used: Diffusion) -> music_pb2.DiffusionParams:
    message = music_pb2.DiffusionParams(
        inference_steps=used.inference_steps,
        guidance_scale=used.guidance_scale,
        use_adg=used.use_adg,
        cfg_interval_start=used.cfg_interval_start,
        cfg_interval_end=used.cfg_interval_end,
        shift=used.shift,
        infer_method=INFER_METHODS[used.infer_method],
        timesteps=used.timesteps,
    )
    message.MergeFrom(sampler_fields.told(used))
    return message
