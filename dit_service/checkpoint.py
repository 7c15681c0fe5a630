"""Read checkpoints in the layout they are published in, and nothing else.

Source: spec dit.md 1.2 (configuration), 1.3 (files), 1.5 (names of tensors).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SILENCE_FILE = "silence_latent.pt"

# From the names that diffusers' modules give their tensors to the published ones.
PUBLISHED_NAMES = (
    (".to_q.", ".q_proj."),
    (".to_k.", ".k_proj."),
    (".to_v.", ".v_proj."),
    (".to_out.0.", ".o_proj."),
    (".norm_q.", ".q_norm."),
    (".norm_k.", ".k_norm."),
    (".proj_in_conv.", ".proj_in.1."),
    (".proj_out_conv.", ".proj_out.1."),
    ("encoder.null_condition_emb", "null_condition_emb"),
)


class CheckpointError(ValueError):
    """A checkpoint is incomplete or does not fit its own configuration; the message says where."""


class Config:
    """The values of a `config.json`. Every one that is asked for must be there."""

    def __init__(self, folder: Path, values: dict[str, Any] | None = None) -> None:
        """Read the file in `folder`, unless its `values` were put together from several."""
        self._path = folder / "config.json"
        self.values = json.loads(_existing(self._path).read_text()) if values is None else values

    def __getitem__(self, key: str) -> Any:
        try:
            return self.values[key]
        except KeyError:
            raise CheckpointError(f"{self._path} has no {key!r}") from None

    def pick(self, *keys: str) -> dict[str, Any]:
        return {key: self[key] for key in keys}

    def encoder(self, key: str) -> Any:
        """A width of the encoders; where they have none of their own, it is the transformer's."""
        prefixed = f"encoder_{key}"
        return self.values[prefixed] if self.values.get(prefixed) is not None else self[key]

    @property
    def has_own_encoder_width(self) -> bool:
        return self.values.get("encoder_hidden_size") is not None


def read_tensors(folder: Path, stem: str = "model") -> dict[str, Tensor]:
    """All tensors of a checkpoint, from one file or from several with an index.

    Raises `CheckpointError` if a file is missing or damaged.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if single.is_file():
        return read_file(single)
    if not index.is_file():
        raise CheckpointError(f"{folder} has neither {single.name} nor {index.name}")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(json.loads(index.read_text())["weight_map"].values())):
        tensors |= read_file(folder / name)
    return tensors


def read_file(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(_existing(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def read_silence(folder: Path) -> Tensor:
    """The latents of silence, `[1, frames, channels]`, as the condition encoder wants them."""
    stored = torch.load(_existing(folder / SILENCE_FILE), map_location="cpu", weights_only=True)
    if not isinstance(stored, Tensor) or stored.ndim != 3:
        raise CheckpointError(f"{folder / SILENCE_FILE} must hold one tensor [1, channels, frames]")
    return stored.transpose(1, 2).contiguous()


def fill(module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Move the tensors named `prefix...` from `tensors` into `module`; each must be there and fit.

    The module may be on the meta device: it takes over the tensors as they are.
    """
    wanted = module.state_dict()
    found: dict[str, Tensor] = {}
    for name, placeholder in wanted.items():
        published = published_name(f"{prefix}{name}")
        if published not in tensors:
            raise CheckpointError(f"tensor {published} is missing")
        found[name] = tensors.pop(published)
        if found[name].shape != placeholder.shape:
            raise CheckpointError(
                f"tensor {published} is {list(found[name].shape)};"
                f" its configuration makes it {list(placeholder.shape)}"
            )
    module.load_state_dict(found, strict=True, assign=True)


def published_name(name: str) -> str:
    for ours, published in PUBLISHED_NAMES:
        name = name.replace(ours, published)
    return name


def refuse_left_over(tensors: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` if the checkpoint had tensors that no module has a place for."""
    if tensors:
        first, *others = sorted(tensors)
        raise CheckpointError(
            f"tensor {first} is not expected" + (f", nor {len(others)} more" * bool(others))
        )


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    return path
