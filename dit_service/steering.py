"""From a job and the latents of its source to what steers its render, step by step.

Source: spec dit.md 2.6 (sources, masks and hints by task) and 2.9 (cover strength).
"""

from dataclasses import dataclass, replace

from torch import Tensor

from dit_service import conditions, flow, prompt
from dit_service.conditions import Conditions
from dit_service.denoise import Route, route
from dit_service.engine import RenderJob, Task
from dit_service.networks import DitNetworks
from dit_service.repaint import surroundings
from dit_service.text_encoder import TextEncoder

MIN_FRAMES = 128
"""The models were never trained on less; shorter songs are cut from this (spec dit.md 10.2)."""


def working_frames(job: RenderJob) -> int:
    """Frames that are denoised; the song is the first of them."""
    return max(job.frame_count, MIN_FRAMES)


@dataclass(frozen=True, slots=True)
class Steering:
    """One job on the networks that render it."""

    networks: DitNetworks
    text_encoder: TextEncoder
    job: RenderJob
    timbre: Tensor
    """Of the reference, or of silence: `[1, 1, hidden]`."""

    def route(self, source: Tensor | None) -> Route:
        """`source` are the latents of the job's canvas, `[1, frames, channels]`, if it has one."""
        job, networks = self.job, self.networks
        frames = working_frames(job)
        music = None if source is None else conditions.lengthened(networks, source, frames)
        times = flow.times(job.diffusion, networks.is_turbo)
        starts = job.cover_noise_strength > 0
        if starts:
            times = flow.from_noise_level(times, 1 - job.cover_noise_strength)
        steered = self._conditions(prompt.instruction(job), self._context(music, frames))
        if job.task is Task.COVER and job.audio_cover_strength < 1:
            silence = conditions.context(networks, networks.silence[:, :frames])
            free = self._conditions(prompt.TEXT2MUSIC_INSTRUCTION, silence)
            path = route(times, steered, free, job.audio_cover_strength)
        else:
            path = route(times, steered, steered, 1.0)
        if starts:
            return replace(path, start=music)
        if music is None or job.keeping is None:
            return path
        spans = job.canvas.frame_spans()
        kept = surroundings(music, spans, job.keeping, path.step_count, networks.is_turbo)
        return replace(path, surroundings=kept)

    def _context(self, music: Tensor | None, frames: int) -> Tensor:
        networks, job = self.networks, self.job
        if job.task is Task.COVER:
            codes = job.audio_codes if music is None else conditions.encode_codes(networks, music)
            return conditions.context(networks, conditions.hint(networks, codes, frames))
        if music is None:
            return conditions.context(networks, networks.silence[:, :frames])
        spans = job.canvas.frame_spans()
        if job.task is Task.REPAINT:
            return conditions.context(networks, conditions.silenced(networks, music, spans), spans)
        return conditions.context(networks, music, spans)

    def _conditions(self, instruction: str, context: Tensor) -> Conditions:
        text = self.text_encoder.hidden_states(prompt.text(self.job, instruction))
        lyrics = self.text_encoder.embeddings(prompt.lyrics(self.job))
        return Conditions(conditions.sequence(self.networks, text, lyrics, self.timbre), context)
