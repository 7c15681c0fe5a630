"""Draw tensors, and write checkpoints that are the same bytes every time."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
"""Tensor name in a checkpoint -> shape."""


class Draw:
    """Random tensors of one checkpoint. A tensor depends on its name only, not on its neighbours."""

    def __init__(self, seed: int, checkpoint: str) -> None:
        self._key = f"{seed}/{checkpoint}"

    def normal(self, name: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> Tensor:
        digest = hashlib.sha256(f"{self._key}/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6]))
        return torch.randn(shape, generator=generator) * std + mean

    def network(self, shapes: Shapes) -> dict[str, Tensor]:
        """One tensor per shape, scaled so that activations keep a spread of about 1."""
        return {name: self._layer_tensor(name, shape) for name, shape in shapes.items()}

    def _layer_tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("bias"):
            return self.normal(name, shape, std=0.02)
        if len(shape) == 1:  # the gains of a norm
            return self.normal(name, shape, std=0.1, mean=1.0)
        if not name.endswith("weight"):  # special tokens, modulation tables
            return self.normal(name, shape, std=0.3)
        return self.normal(name, shape, std=1 / math.sqrt(math.prod(shape[1:])))


def save(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    save_file(
        {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()},
        path,
        metadata={"format": "pt"},
    )


def save_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
