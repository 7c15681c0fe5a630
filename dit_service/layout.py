"""Where the parts of a checkpoint lie: in the published layout, or in that of diffusers' AceStepPipeline.

Whatever the layout, a DiT is told in the published names and configuration, so nothing else
knows that there are two.
Source: spec dit.md 1.3 (published), 1.4 (diffusers) and 1.5 (names, configuration).
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dit_service.checkpoint import CheckpointError, Config, published_name, read_silence, read_tensors

TEXT_ENCODER = "Qwen3-Embedding-0.6B"
VAE = "vae"

PIPELINE_FILE = "model_index.json"
COMPONENTS = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}
"""Folders of a pipeline, with the prefix of their tensors in the published names."""
COMPONENT_WEIGHTS = "diffusion_pytorch_model"
ENCODER_WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
TIMBRE_FRAMES = 750
"""The pipeline takes 30 s of a reference, whatever the checkpoint: its configuration does not say."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A DiT as it was published, wherever it was read from."""

    config: Config
    tensors: dict[str, Tensor]
    silence: Tensor
    """`[1, frames, channels]`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Folders of what all DiTs work with."""

    text_encoder: Path
    tokenizer: Path
    vae: Path


def is_pipeline(folder: Path) -> bool:
    return (folder / PIPELINE_FILE).is_file()


def shared(models: Path, default_model: str) -> Shared:
    """Beside the models, or in the pipeline that is the default model."""
    pipeline = models / default_model
    if is_pipeline(pipeline) and not (models / VAE).is_dir():
        return Shared(pipeline / "text_encoder", pipeline / "tokenizer", pipeline / "vae")
    return Shared(models / TEXT_ENCODER, models / TEXT_ENCODER, models / VAE)


def read(folder: Path) -> Checkpoint:
    """Raises `CheckpointError` if a file is missing or damaged."""
    if not is_pipeline(folder):
        silence = read_silence(folder)
        return Checkpoint(config(folder), read_tensors(folder), silence)
    tensors = {
        published_name(f"{prefix}{name}"): tensor
        for component, prefix in COMPONENTS.items()
        for name, tensor in read_tensors(folder / component, COMPONENT_WEIGHTS).items()
    }
    if "encoder.silence_latent" not in tensors:
        raise CheckpointError(f"{folder / 'condition_encoder'} has no silence_latent")
    return Checkpoint(config(folder), tensors, tensors.pop("encoder.silence_latent"))


def config(folder: Path) -> Config:
    return _pipeline_config(folder) if is_pipeline(folder) else Config(folder)


def weight_files(folder: Path) -> list[Path]:
    """The files that loading `folder` as a DiT reads."""
    parts = [folder / name for name in COMPONENTS] if is_pipeline(folder) else [folder]
    return [path for part in parts for path in sorted(part.glob("*.safetensors"))]


def parameter_count(files: Iterable[Path]) -> int:
    """Told by the headers: no weight is read."""
    return sum(_sizes(files))


def _sizes(files: Iterable[Path]) -> Iterator[int]:
    for path in files:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        yield from (math.prod(told["shape"]) for name, told in header.items() if name != "__metadata__")


def _pipeline_config(folder: Path) -> Config:
    """One configuration out of four, with the encoders' widths under the names they have there."""
    transformer, encoder, tokenizer = (
        Config(folder / name) for name in ("transformer", "condition_encoder", "audio_tokenizer")
    )
    values: dict[str, Any] = {**tokenizer.values, **encoder.values, **transformer.values}
    values["timbre_fix_frame"] = TIMBRE_FRAMES
    values.pop("encoder_hidden_size", None)
    if encoder["hidden_size"] != transformer["hidden_size"]:
        values |= {f"encoder_{key}": encoder[key] for key in ENCODER_WIDTHS}
    return Config(folder / "transformer", values)
