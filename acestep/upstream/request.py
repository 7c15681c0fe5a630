"""From upstream's parameters to a request of the gateway.

What `GenerationParams` holds is sent as given. A field that the task, or the model, has no use for is
not sent, and a note says so: upstream passes over it in silence.
"""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep.upstream.names import Unusable, put
from acestep.upstream.parameters import TEXT2MUSIC_INSTRUCTION, GenerationConfig, GenerationParams

CODE_PATTERN = re.compile(r"<\|audio_code_(\d+)\|>")
TRACKS = {
    name.removeprefix("TRACK_").lower(): number
    for name, number in music_pb2.Track.items()
    if number != music_pb2.TRACK_UNSPECIFIED
}
TRACK_PATTERN = re.compile(
    rf"\b({'|'.join(sorted((name.replace('_', '[_ ]') for name in TRACKS), key=len, reverse=True))})\b",
    re.IGNORECASE,
)
TRACK_TASKS = ("lego", "extract", "complete")
SOURCE_TASKS = ("cover", "repaint", *TRACK_TASKS)
LM_WISHES = ("thinking", "use_cot_metas", "use_cot_caption", "use_cot_language")
SENT_AS_GIVEN = (
    *("caption", "lyrics", "instrumental"),
    *("inference_steps", "cfg_interval_start", "cfg_interval_end", "shift"),
    *("thinking", "lm_temperature", "lm_cfg_scale", "lm_negative_prompt"),
    *("use_cot_metas", "use_cot_caption", "use_cot_language", "use_constrained_decoding"),
)
TURBO_SHIFT = 3.0
MAX_BATCH = 8
RANDOM_SEED_BITS = 32


@dataclass(slots=True)
class Wish:
    """A request, the files that it needs, and what its caller should know about it."""

    request: pb.GenerateMusicRequest
    source: Path | None = None
    reference: Path | None = None
    notes: list[str] = field(default_factory=list)


def wish(
    params: GenerationParams,
    config: GenerationConfig,
    model: pb.GetCapabilitiesResponse.DitModel,
    lm_model: str | None,
) -> Wish:
    """What `params` and `config` ask of `model`, without a language model if `lm_model` is None.

    Raises `Unusable` for a value that no request can hold; the gateway checks ranges.
    """
    wanted = Wish(pb.GenerateMusicRequest(model=model.model.name))
    request = wanted.request
    for name in SENT_AS_GIVEN:
        put(request, name, getattr(params, name))
    _set_task(wanted, params)
    _set_metadata(wanted, params)
    _set_diffusion(wanted, params, model)
    set_sampling(request.lm.sampling, top_k=params.lm_top_k, top_p=params.lm_top_p, prefix="lm_")
    if params.use_cot_lyrics:
        wanted.notes.append("use_cot_lyrics has no effect: no released model rewrites lyrics this way")
    _set_batch(wanted, params, config)
    if lm_model is None:
        _do_without_lm(wanted, params)
    elif lm_model:
        request.lm_model = lm_model
    return wanted


def parse_codes(text: str | None) -> list[int]:
    """The codes in `text`, which may hold other text beside them, but not that alone."""
    codes = [int(match[1]) for match in CODE_PATTERN.finditer(text or "")]
    if text and text.strip() and not codes:
        raise Unusable("audio_codes", "must hold marks such as <|audio_code_123|>", text[:40])
    return codes


def choice(name: str, value: object, enum: Any, prefix: str) -> Any:
    """The number of an enum's value, by its name without the prefix. Raises `Unusable`."""
    names = [each.removeprefix(f"{prefix}_").lower() for each, number in enum.items() if number]
    if str(value).lower() not in names:
        raise Unusable(name, f"must be one of {', '.join(names)}", value)
    return enum.Value(f"{prefix}_{str(value).upper()}")


def set_sampling(
    sampling: music_pb2.LmSampling, *, top_k: int | None, top_p: float | None, prefix: str = ""
) -> None:
    """None, and what upstream takes for it: 0, and for `top_p` from 1 on, filter nothing."""
    try:
        sampling.top_k = top_k or 0
        sampling.top_p = top_p if top_p and top_p < 1 else 1.0
    except (TypeError, ValueError):
        raise Unusable(f"{prefix}top_k and {prefix}top_p", "must be numbers", (top_k, top_p)) from None


def given_text(value: str | None) -> str:
    """What a text field says; nothing for upstream's ways of saying nothing."""
    text = str(value or "").strip()
    return "" if text.lower() in ("n/a", "unknown") else text


def _do_without_lm(wanted: Wish, params: GenerationParams) -> None:
    given_up = [name for name in LM_WISHES if getattr(params, name)]
    if given_up and _task(params) not in SOURCE_TASKS:
        wanted.notes.append(f"no effect without a language model in llm_handler: {', '.join(given_up)}")
    wanted.request.lm.thinking = False
    wishes = wanted.request.lm.chain_of_thought
    wishes.use_cot_metas = wishes.use_cot_caption = wishes.use_cot_language = False


def _task(params: GenerationParams) -> str:
    return str(params.task_type).lower()


def _set_task(wanted: Wish, params: GenerationParams) -> None:
    request, task = wanted.request, _task(params)
    request.task = choice("task_type", params.task_type, music_pb2.Task, "TASK")
    instruction = (params.instruction or "").strip()
    if instruction not in ("", TEXT2MUSIC_INSTRUCTION):  # else the task has one of its own
        request.instruction = instruction
    if task in TRACK_TASKS:
        request.tracks.extend(_tracks(instruction))
    request.audio_codes.extend(parse_codes(params.audio_codes))
    if params.reference_audio:
        wanted.reference = Path(params.reference_audio)
    if params.src_audio and _useful(wanted, task in SOURCE_TASKS, "src_audio", task):
        wanted.source = Path(params.src_audio)
    if task in ("repaint", "lego"):
        _set_region(request, params)
    else:
        _useful(wanted, params.repainting_start == 0, "repainting_start", task)
        _useful(wanted, params.repainting_end == -1, "repainting_end", task)
    covers = task == "cover" or (task == "text2music" and bool(params.thinking or request.audio_codes))
    if params.audio_cover_strength != 1 and _useful(wanted, covers, "audio_cover_strength", task):
        put(request, "audio_cover_strength", params.audio_cover_strength)


def _tracks(instruction: str) -> list[Any]:
    """The tracks that an instruction names, each once."""
    found = dict.fromkeys(name.lower().replace(" ", "_") for name in TRACK_PATTERN.findall(instruction))
    if not found:
        raise Unusable("instruction", f"must name a track: {', '.join(TRACKS)}", instruction)
    return [TRACKS[name] for name in found]


def _set_region(request: pb.GenerateMusicRequest, params: GenerationParams) -> None:
    region = request.repaint.regions.add()
    try:
        region.start_seconds = params.repainting_start or 0.0
        if params.repainting_end is not None and params.repainting_end >= 0:
            region.end_seconds = params.repainting_end
    except (TypeError, ValueError):
        span = (params.repainting_start, params.repainting_end)
        raise Unusable("repainting_start and repainting_end", "must be numbers", span) from None


def _useful(wanted: Wish, useful: bool, name: str, task: str) -> bool:
    """Whether a field has a use; a note tells if not."""
    if not useful:
        wanted.notes.append(f"{name} is not used: {task} has no use for it")
    return useful


def _set_metadata(wanted: Wish, params: GenerationParams) -> None:
    request = wanted.request
    for name in ("keyscale", "timesignature", "vocal_language"):
        if text := given_text(getattr(params, name)):
            put(request, name, text)
    try:
        bpm, duration = float(params.bpm or 0), float(params.duration or 0)
    except (TypeError, ValueError):
        raise Unusable("bpm and duration", "must be numbers", (params.bpm, params.duration)) from None
    if bpm > 0:
        put(request, "bpm", int(bpm))
    if duration > 0 and wanted.source is not None:
        wanted.notes.append("duration is not used: the song is as long as src_audio")
    elif duration > 0:
        request.duration_seconds = duration


def _set_diffusion(
    wanted: Wish, params: GenerationParams, model: pb.GetCapabilitiesResponse.DitModel
) -> None:
    request, name = wanted.request, model.model.name
    method = choice("infer_method", params.infer_method, music_pb2.InferMethod, "INFER_METHOD")
    request.diffusion.infer_method = method
    try:
        request.diffusion.timesteps.extend(params.timesteps or ())
    except (TypeError, ValueError):
        raise Unusable("timesteps", "must be a list of numbers", params.timesteps) from None
    if not model.is_turbo:
        put(request, "guidance_scale", params.guidance_scale)
        put(request, "use_adg", params.use_adg)
        return
    if params.guidance_scale not in (1, GenerationParams.guidance_scale):
        wanted.notes.append(f"guidance_scale is not used: {name} is a turbo model")
    if params.use_adg:
        wanted.notes.append(f"use_adg is not used: {name} is a turbo model")
    if params.shift == GenerationParams.shift and not params.timesteps:
        wanted.notes.append(f"shift is 1.0, as given; {TURBO_SHIFT} is right for {name}, a turbo model")


def _set_batch(wanted: Wish, params: GenerationParams, config: GenerationConfig) -> None:
    request = wanted.request
    size = 1 if config.batch_size is None else config.batch_size
    put(request, "batch_size", size)
    put(request, "allow_lm_batch", config.allow_lm_batch)
    chunk = config.lm_batch_chunk_size
    put(request, "lm_batch_chunk_size", min(chunk, MAX_BATCH) if chunk and chunk > 0 else MAX_BATCH)
    put(request, "constrained_decoding_debug", config.constrained_decoding_debug)
    request.output.audio_format = choice(
        "audio_format", config.audio_format, music_pb2.AudioFormat, "AUDIO_FORMAT"
    )
    request.output.return_latents = True
    seeds = _seeds(params, config)
    if config.use_random_seed:
        request.batch.use_random_seed = True
        if any(seed != -1 for seed in seeds):
            wanted.notes.append("the seeds given are not used: use_random_seed is True")
        return
    if len(seeds) > size:
        wanted.notes.append(f"only the first {size} of {len(seeds)} seeds are used: batch_size is {size}")
    try:
        request.batch.seeds.extend(
            secrets.randbits(RANDOM_SEED_BITS) if seed == -1 else seed for seed in seeds[: max(size, 0)]
        )
    except (TypeError, ValueError):
        raise Unusable("seeds", "must be whole numbers from 0, or -1 for a random one", seeds) from None


def _seeds(params: GenerationParams, config: GenerationConfig) -> list[int]:
    """The seeds given: the list of the configuration, or the one of the parameters."""
    if config.seeds is None or config.seeds == []:
        return [-1 if params.seed is None else params.seed]
    return list(config.seeds) if isinstance(config.seeds, (list, tuple)) else [config.seeds]
