"""Upstream's names of fields, and where each one goes in a request of the gateway."""

from typing import Any

from google.protobuf.message import Message

FIELDS = {
    "task_type": "task",
    "instruction": "instruction",
    "reference_audio": "reference_audio_id",
    "src_audio": "source_audio_id",
    "audio_codes": "audio_codes",
    "caption": "caption",
    "lyrics": "lyrics",
    "instrumental": "instrumental",
    "vocal_language": "vocal_language",
    "bpm": "bpm",
    "keyscale": "keyscale",
    "timesignature": "timesignature",
    "duration": "duration_seconds",
    "inference_steps": "diffusion.inference_steps",
    "seed": "batch.seeds",
    "guidance_scale": "diffusion.guidance_scale",
    "use_adg": "diffusion.use_adg",
    "cfg_interval_start": "diffusion.cfg_interval_start",
    "cfg_interval_end": "diffusion.cfg_interval_end",
    "shift": "diffusion.shift",
    "infer_method": "diffusion.infer_method",
    "timesteps": "diffusion.timesteps",
    "repainting_start": "repaint.regions[0].start_seconds",
    "repainting_end": "repaint.regions[0].end_seconds",
    "audio_cover_strength": "cover.audio_cover_strength",
    "thinking": "lm.thinking",
    "lm_temperature": "lm.sampling.temperature",
    "lm_cfg_scale": "lm.cfg_scale",
    "lm_top_k": "lm.sampling.top_k",
    "lm_top_p": "lm.sampling.top_p",
    "lm_negative_prompt": "lm.negative_prompt",
    "use_cot_metas": "lm.chain_of_thought.use_cot_metas",
    "use_cot_caption": "lm.chain_of_thought.use_cot_caption",
    "use_cot_lyrics": "lm.chain_of_thought.use_cot_lyrics",
    "use_cot_language": "lm.chain_of_thought.use_cot_language",
    "use_constrained_decoding": "lm.sampling.use_constrained_decoding",
    "batch_size": "batch.batch_size",
    "allow_lm_batch": "lm.allow_batch",
    "use_random_seed": "batch.use_random_seed",
    "seeds": "batch.seeds",
    "lm_batch_chunk_size": "lm.batch_chunk_size",
    "constrained_decoding_debug": "lm.sampling.constrained_decoding_debug",
    "audio_format": "output.audio_format",
}
"""Paths in `GenerateMusicRequest`, by name in `GenerationParams` or `GenerationConfig`."""

OTHER_PATHS = {
    "tracks": "instruction",
    "model": "config_path",
    "lm_model": "lm_model_path",
    "audio_codes.codes": "audio_codes",
    "user_metadata.duration_seconds": "user_metadata['duration']",
    "sampling": "",
}
"""Names that callers know for paths that no field of a song goes to."""

PATHS = {path: name for name, path in FIELDS.items()} | OTHER_PATHS


class Unusable(Exception):
    """A value that a request cannot hold, said in upstream's names."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"{field} {rule}; received {value!r}")


def put(request: Message, name: str, value: Any) -> None:
    """Set upstream's field `name` of a song's request. Raises `Unusable` for a value of another type."""
    *steps, last = FIELDS[name].split(".")
    message: Any = request
    for step in steps:
        message = getattr(message, step)
    try:
        setattr(message, last, value)
    except (TypeError, ValueError):
        kind = type(getattr(message, last)).__name__
        raise Unusable(name, f"must be of type {kind}, within its range", value) from None


def upstream_name(path: str) -> str:
    """Upstream's name of the field at `path`, places in lists included: `batch.seeds[1]` is `seeds[1]`."""
    if path in PATHS:
        return PATHS[path]
    bare, bracket, place = path.partition("[")
    if bare in PATHS:
        return PATHS[bare] + bracket + place
    parent, _, child = path.partition(".")
    return child if PATHS.get(parent) == "" else path
