"""Recorded tensors of the reference, and the checkpoints they were made with.

Source and conventions: tests/golden/dit/CONVENTIONS.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from dit_service.engine import Waveform

ROOT = Path(__file__).parent.parent / "golden" / "dit"
CHECKPOINTS = ROOT / "ckpt"
TOLERANCE = 2e-5
WAVEFORM_TOLERANCE = 1e-5
MODELS = {"turbo": "acestep-v15-turbo", "base": "acestep-v15-base", "xl": "acestep-v15-xl-turbo"}
"""Checkpoints by the names that cases give them; `xl` is the only one that is not its folder's end."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def model(self) -> str:
        return MODELS.get(self.facts["ckpt"], f"acestep-v15-{self.facts['ckpt']}")

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]


def case(name: str, root: Path = ROOT) -> Case:
    path = root / "cases" / name
    facts = json.loads(path.with_suffix(".json").read_text())
    return Case(name, facts, load_file(path.with_suffix(".safetensors")))


def case_names(root: Path = ROOT) -> list[str]:
    return sorted(path.stem for path in (root / "cases").glob("*.json"))


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    torch.testing.assert_close(actual.cpu(), expected, atol=tolerance, rtol=0)


def spans_of(mask: Tensor) -> list[slice]:
    """Where a recorded mask `[frames]` is 1; nothing for a mask that is 1 everywhere."""
    if mask.bool().all():
        return []
    edges = torch.diff(mask.bool().int(), prepend=torch.zeros(1), append=torch.zeros(1)).nonzero()[:, 0]
    return [slice(int(start), int(stop)) for start, stop in edges.view(-1, 2)]


def wave(samples: int, kind: int) -> Waveform:
    """The formula that the recorded audio inputs were made with, `[samples, 2]`."""
    k = np.arange(samples) / 48_000
    low, high = ((220.0, 331.0), (97.0, 523.25), (440.0, 61.0))[kind]
    tau = 2 * np.pi
    left = 0.40 * np.sin(tau * low * k)
    left += 0.15 * np.sin(tau * 3.01 * low * k + 0.5) * np.cos(tau * 0.7 * k)
    right = 0.35 * np.sin(tau * high * k + 0.3)
    right += 0.20 * np.sin(tau * 0.5 * low * k) * np.sin(tau * 0.31 * k)
    return np.stack([left, right], axis=1).astype(np.float32)
