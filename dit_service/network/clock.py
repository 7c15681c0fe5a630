"""What the time of a step does to the layers.

Source: spec dit.md 1.6.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

WAVES = 256
MAX_PERIOD = 10_000
TIME_SCALE = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One time of a schedule, on the device."""

    times: tuple[float, float]
    """The time itself, and the one that the network flows to."""
    embedding: Tensor
    """`[hidden]`."""
    projection: Tensor
    """`[6, hidden]`."""


class TimeEmbedding(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(WAVES, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)
        self.time_proj = nn.Linear(hidden, 6 * hidden)

    def forward(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Of times `[count]` float32: embeddings `[count, hidden]`, projections `[count, 6, hidden]`."""
        waves = _waves(times).to(self.linear_1.weight.dtype)
        embedding = self.linear_2(functional.silu(self.linear_1(waves)))
        return embedding, self.time_proj(functional.silu(embedding)).unflatten(1, (6, -1))


def _waves(times: Tensor) -> Tensor:
    half = WAVES // 2
    places = torch.arange(half, dtype=torch.float32, device=times.device)
    angles = TIME_SCALE * times[:, None] * torch.exp(-math.log(MAX_PERIOD) * places / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
