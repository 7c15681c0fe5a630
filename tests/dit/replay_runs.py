"""Replay whole renders of the reference: in latent space, and from words to sound."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from dit_service import conditions, flow, prompt, sampler
from dit_service.conditions import Conditions
from dit_service.denoise import Route, denoise, route
from dit_service.engine import (
    CorrectionMode,
    Diffusion,
    Encoding,
    InferMethod,
    Keeping,
    RenderJob,
    SamplerMode,
    Song,
    SourceSound,
    Task,
    WaveletCorrection,
)
from dit_service.finish import prevent_clipping
from dit_service.networks import DitNetworks
from dit_service.repaint import Surroundings, surroundings
from dit_service.steering import Steering, working_frames
from dit_service.text_encoder import MAX_LYRIC_TOKENS, MAX_TEXT_TOKENS
from tests.dit.golden import WAVEFORM_TOLERANCE, Case, spans_of
from tests.dit.jobs import job_of
from tests.dit.replay import Gap, Stand, gap, same, timbre_of, valid


@dataclass(frozen=True, slots=True)
class Run:
    """One item of a recorded render."""

    model: DitNetworks
    path: Route
    diffusion: Diffusion
    noise: Tensor
    fresh: Callable[[], Tensor]

    def latents(self) -> list[Tensor]:
        """After each step, `[1, frames, channels]`."""
        steps = denoise(self.model, self.path, self.diffusion, self.noise, self.fresh)
        return [event for event in steps if isinstance(event, Tensor)]


def result(steps: Generator[object, None, Tensor]) -> Tensor:
    """What a generator returns, all that it waits for being done alone."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: Tensor = end.value
            return returned


def sampling(stand: Stand, golden: Case) -> list[Gap]:
    gaps = []
    for item in range(len(golden["in.noise"])):
        run = run_of(stand, golden, item)
        sequence = valid(golden, "mid.encoder_hidden_states", "mid.encoder_attention_mask", item)
        gaps += [
            gap("sequence", run.path.conditions.sequence, sequence),
            gap("context", run.path.conditions.context, golden["mid.context_latents"][[item]]),
            gap("latents", run.latents()[-1], golden["out.latents"][[item]]),
        ]
    return gaps


def run_of(stand: Stand, golden: Case, item: int) -> Run:
    model, params = stand.model(golden), golden.facts["params"]
    diffusion = diffusion_of(params)
    steered = _conditions(model, golden, item, "text", _source(model, golden, item))
    free = steered
    if "in.non_cover_text_hidden_states" in golden.tensors:
        silence = model.silence[:, : golden["in.noise"].shape[1]]
        free = _conditions(model, golden, item, "non_cover_text", silence)
    times, noise = flow.times(diffusion, model.is_turbo), golden["in.noise"][[item]]
    if nearness := params.get("cover_noise_strength", 0.0):
        times = flow.from_noise_level(times, 1 - nearness)
    path = route(times, steered, free, params.get("audio_cover_strength", 1.0))
    if nearness:
        path = replace(path, start=golden["in.src_latents"][[item]])
    if "in.retake_noise" in golden.tensors:
        noise = sampler.varied(noise, golden["in.retake_noise"][[item]], params["retake_variance"])
    if "in.repaint_mask" in golden.tensors:
        path = replace(path, surroundings=_surroundings(golden, item, path.step_count, model.is_turbo))
    fresh = no_noise
    if "in.sde_noise" in golden.tensors:
        fresh = partial(next, iter(golden["in.sde_noise"][:, [item]]))
    return Run(model, path, diffusion, noise, fresh)


def diffusion_of(params: dict[str, object]) -> Diffusion:
    def number(name: str, default: float) -> float:
        return float(params.get(name) or default)  # type: ignore[arg-type]

    listed = params.get("timesteps", ())
    assert isinstance(listed, (list, tuple))
    return Diffusion(
        inference_steps=int(number("infer_steps", 8)),
        guidance_scale=number("diffusion_guidance_scale", 1.0),
        use_adg=bool(params.get("use_adg", False)),
        cfg_interval_start=number("cfg_interval_start", 0.0),
        cfg_interval_end=number("cfg_interval_end", 1.0),
        shift=number("shift", 3.0),
        infer_method=InferMethod(params.get("infer_method", "ode")),
        timesteps=tuple(listed),
        sampler_mode=SamplerMode(params.get("sampler_mode", "euler")),
        velocity_norm_threshold=number("velocity_norm_threshold", 0.0),
        velocity_ema_factor=number("velocity_ema_factor", 0.0),
        correction=_correction(params) if params.get("dcw_enabled") else None,
    )


def _correction(params: dict[str, object]) -> WaveletCorrection:
    scales = {"scaler": params.get("dcw_scaler"), "high_scaler": params.get("dcw_high_scaler")}
    given = {name: float(scale) for name, scale in scales.items() if scale is not None}  # type: ignore[arg-type]
    return WaveletCorrection(CorrectionMode(params["dcw_mode"]), **given)


def _conditions(model: DitNetworks, golden: Case, item: int, text: str, source: Tensor) -> Conditions:
    sequence = conditions.sequence(
        model,
        valid(golden, f"in.{text}_hidden_states", f"in.{text}_attention_mask", item),
        valid(golden, "in.lyric_hidden_states", "in.lyric_attention_mask", item),
        timbre_of(model, golden, item),
    )
    spans = spans_of(golden["in.chunk_masks"][item, :, 0])
    return Conditions(sequence, conditions.context(model, source, spans))


def _source(model: DitNetworks, golden: Case, item: int) -> Tensor:
    source = golden["in.src_latents"][[item]]
    if not golden["in.is_covers"][item]:
        return source
    if "in.precomputed_lm_hints_25Hz" in golden.tensors:
        return golden["in.precomputed_lm_hints_25Hz"][[item]]
    return conditions.hint(model, conditions.encode_codes(model, source), source.shape[1])


def _surroundings(golden: Case, item: int, step_count: int, is_turbo: bool) -> Surroundings:
    params = golden.facts["params"]
    keeping = Keeping(
        held_share=params.get("repaint_injection_ratio", 0.0),
        latent_fade_frames=params.get("repaint_crossfade_frames", 0),
        splices=False,
        sound_fade_s=0.0,
    )
    spans = spans_of(golden["in.repaint_mask"][item])
    return surroundings(golden["in.clean_src_latents"][[item]], spans, keeping, step_count, is_turbo)


def no_noise() -> Tensor:
    raise AssertionError("a deterministic step drew noise")


def handler(stand: Stand, golden: Case, cut: bool = False) -> list[Gap]:
    """From words to sound; for songs that are `cut` short, the sound is left out."""
    gaps: list[Gap] = []
    for item in range(len(golden["out.pred_latents"])):
        job = job_of(golden, item)
        gaps += [*_texts(stand, golden, item, job), *_steering(stand, golden, item, job)]
        *_, song = stand.engine.render(job)
        assert isinstance(song, Song)
        expected = golden["out.pred_latents"][[item], : job.frame_count]
        gaps.append(gap("latents", torch.from_numpy(song.latents)[None], expected))
        prevent_clipping(song.waveform)
        gaps += [] if cut else windows(torch.from_numpy(song.waveform), golden, item)
    return gaps


def windows(sound: Tensor, golden: Case, item: int) -> Iterator[Gap]:
    """Where the `sound` of an item, `[samples, 2]`, was recorded."""
    for start, window in zip(golden.facts["wav_window_starts"], golden["out.wav_windows"], strict=True):
        part = sound[start : start + window.shape[-1]].T
        yield gap("sound", part, window[item], WAVEFORM_TOLERANCE)


def route_of(stand: Stand, golden: Case, job: RenderJob) -> Route:
    """What the engine steers `job` by, where no reference is heard."""
    model, source = stand.model(golden), None
    if isinstance(job.source, SourceSound):
        sound = job.source.on(job.canvas)[:]
        *_, encoding = stand.engine.encode(sound, job.model, with_codes=False)
        assert isinstance(encoding, Encoding)
        source = torch.from_numpy(encoding.latents)[None]
    timbre = conditions.timbre(model, model.silence[:, : model.timbre_frames])
    return Steering(model, stand.text_encoder, job, timbre).route(source)


def _texts(stand: Stand, golden: Case, item: int, job: RenderJob) -> Iterator[Gap]:
    encoder, lyrics = stand.text_encoder, prompt.lyrics(job)
    text = prompt.text(job, prompt.instruction(job))
    yield same("prompt", f"{text}\n\n{lyrics}", golden.facts["text_inputs"][item])
    heard = golden["mid.text_token_ids"][item][golden["mid.text_attention_mask"][item] > 0]
    yield same("text ids", encoder.token_ids(text, MAX_TEXT_TOKENS), heard.tolist())
    ids = encoder.token_ids(lyrics, MAX_LYRIC_TOKENS)
    yield same("lyric ids", ids, golden["mid.lyric_token_ids"][item][: len(ids)].tolist())
    if "mid.non_cover_text_token_ids" in golden.tensors:
        ids = encoder.token_ids(prompt.text(job, prompt.TEXT2MUSIC_INSTRUCTION), MAX_TEXT_TOKENS)
        yield same("other ids", ids, golden["mid.non_cover_text_token_ids"][item][: len(ids)].tolist())


def _steering(stand: Stand, golden: Case, item: int, job: RenderJob) -> Iterator[Gap]:
    path, channels = route_of(stand, golden, job), golden["out.pred_latents"].shape[-1]
    spans = job.canvas.frame_spans() if job.regions else [slice(0, working_frames(job))]
    yield same("span", [[spans[0].start, spans[0].stop]], [golden.facts["spans"][item][1:]])
    yield same("cover", job.task is Task.COVER, bool(golden["mid.is_covers"][item]))
    mask = path.conditions.context[0, :, channels]
    yield gap("mask", mask, golden["mid.chunk_mask"][item].float(), allowed=0.0)
    yield gap("context", path.conditions.context, golden["out.context_latents"][[item]])
    if job.reference is None:
        heard = valid(golden, "out.encoder_hidden_states", "out.encoder_attention_mask", item)
        yield gap("sequence", path.conditions.sequence, heard)
