"""From the songs of a generation to upstream's result: audios, files, keys, metadata, times."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep.songs import SongFile, Songs
from acestep.upstream.parameters import GenerationParams
from acestep.upstream.request import Wish, given_text
from acestep.upstream.results import GenerationResult
from acestep.upstream.tensors import tensor

logger = logging.getLogger("acestep")

SAMPLE_RATE_HZ = 48_000
LM_TIMES = ("lm_phase1_time", "lm_phase2_time", "lm_total_time")
DIT_TIMES = {
    "dit_encoder_time_cost": "conditioning",
    "dit_diffusion_time_cost": "diffusion",
    "dit_vae_decode_time_cost": "decoding",
}
COT_FIELDS = ("bpm", "keyscale", "timesignature", "duration", "vocal_language", "caption")


@dataclass(frozen=True, slots=True)
class Asked:
    """A generation as its caller asked for it."""

    params: GenerationParams
    wish: Wish
    save_dir: Path | None


def result(asked: Asked, songs: Songs) -> GenerationResult:
    """What upstream would return for `songs`; fills the `cot_` fields of the parameters."""
    fill_cot_fields(asked.params, lm_metadata(songs.plan))
    made = [file for file in songs.files if not file.failed]
    failures = [
        f"song {file.song.song_index + 1} of {len(songs.files)} failed: {file.song.error.message}"
        for file in songs.files
        if file.failed
    ]
    audios = [_audio(asked, file) for file in made]
    warnings = [*asked.wish.notes, *songs.accepted.warnings]
    warnings += dict.fromkeys(note for file in made for note in file.song.warnings if note not in warnings)
    unsaved = [audio["key"] for audio in audios if asked.save_dir is not None and not audio["path"]]
    problems = [*failures, *(f"{key} could not be written to {asked.save_dir}" for key in unsaved)]
    return GenerationResult(
        audios=audios,
        status_message=_status(songs, warnings, problems),
        extra_outputs=_extra_outputs(songs, made, warnings, failures),
    )


def lm_metadata(plan: pb.Plan) -> dict[str, Any] | None:
    """What the language model wrote, under upstream's names; None if it was not asked."""
    if not plan.HasField("lm_metadata"):
        return None
    metadata = described(plan.lm_metadata)
    if "duration" in metadata:
        metadata["duration"] = int(metadata["duration"])
    return metadata


def described(metadata: music_pb2.SongMetadata) -> dict[str, Any]:
    """The fields that are there, under upstream's names."""
    return {
        "duration" if descriptor.name == "duration_seconds" else descriptor.name: value
        for descriptor, value in metadata.ListFields()
    }


def fill_cot_fields(params: GenerationParams, written: Mapping[str, Any] | None) -> None:
    """Tell in `params` what the language model decided, where the caller had not."""
    for name in (field.name for field in fields(params) if field.name.startswith("cot_")):
        setattr(params, name, getattr(GenerationParams, name))
    decided = dict(written or {})
    decided["vocal_language"] = decided.pop("language", "unknown")
    wanted = {
        "bpm": not (params.bpm and params.bpm > 0),
        "duration": not (params.duration and params.duration > 0),
        "keyscale": not given_text(params.keyscale),
        "timesignature": not given_text(params.timesignature),
        "vocal_language": params.use_cot_language and not given_text(params.vocal_language),
        "caption": params.use_cot_caption,
    }
    for name in COT_FIELDS:
        if wanted[name] and name in decided:
            value = decided[name]
            setattr(params, f"cot_{name}", float(value) if name == "duration" else value)


def key_of(params: Mapping[str, Any]) -> str:
    """Upstream's name of a song: a digest of its parameters, written as a UUID. Source: spec dit.md 5.3."""
    text = json.dumps(params, sort_keys=True, ensure_ascii=False, default=str)
    digits = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _audio(asked: Asked, file: SongFile) -> dict[str, Any]:
    codes = "".join(f"<|audio_code_{code}|>" for code in file.song.audio_codes)
    params = asdict(asked.params) | {"seed": file.song.seeds.dit_seed, "audio_codes": codes}
    key, path = key_of(params), ""
    if asked.save_dir is not None:
        try:
            path = str(file.save(asked.save_dir / key))
        except OSError as error:
            logger.error("%s could not be written: %s", key, error)
    return {
        "path": path,
        "tensor": tensor(file.samples()),
        "key": key,
        "sample_rate": SAMPLE_RATE_HZ,
        "params": params,
        "silent": file.song.silent,
    }


def _status(songs: Songs, warnings: list[str], problems: list[str]) -> str:
    lines = [f"Note: {warning}" for warning in warnings]
    silent = [str(file.song.song_index + 1) for file in songs.files if file.song.silent]
    if silent:
        lines.append(f"Silent output detected: song {', '.join(silent)}")
    if songs.result.HasField("lm_model"):
        times = songs.result.timings
        lines.append(
            f"LM: phase1_time: {times['lm_phase1_time']:.2f}s, phase2_time: {times['lm_phase2_time']:.2f}s"
        )
    ending = "Generation completed, with problems." if problems else "Generation completed successfully!"
    return "\n".join([*lines, *problems, ending])


def _extra_outputs(
    songs: Songs, made: list[SongFile], warnings: list[str], failures: list[str]
) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "lm_metadata": lm_metadata(songs.plan),
        "time_costs": time_costs(songs, made),
        "seed_value": ",".join(str(seeds.dit_seed) for seeds in songs.accepted.seeds),
        "request_id": songs.result.request_id,
        "warnings": warnings,
        "failures": failures,
    }
    latents = [_latents(file.song.latents) for file in made if file.song.HasField("latents")]
    if len({each.shape for each in latents}) == 1:  # songs of one length, as a batch has
        outputs["latents"] = tensor(np.stack(latents))
    return outputs


def _latents(message: music_pb2.Latents) -> Any:
    return np.frombuffer(message.data, "<f4").reshape(message.frame_count, message.channel_count)


def time_costs(songs: Songs, made: list[SongFile]) -> dict[str, float]:
    """Seconds under upstream's keys, those of songs that ran side by side added up, and `wall_time`."""
    times = dict(songs.result.timings)
    if not songs.result.HasField("lm_model"):
        times = {name: value for name, value in times.items() if name not in LM_TIMES}
    for name, phase in DIT_TIMES.items():
        times[name] = sum(file.song.timings[phase] for file in made)
    steps = songs.accepted.effective.diffusion.inference_steps
    times["dit_diffusion_per_step_time_cost"] = times["dit_diffusion_time_cost"] / max(1, steps * len(made))
    times["dit_offload_time_cost"] = 0.0
    return times
