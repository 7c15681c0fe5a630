"""The velocity as the services compute it, to compare with and to render by."""

import torch
from torch import Tensor

from dit_service.network.transformer import Row
from dit_service.networks import DitNetworks


def served_velocity(
    networks: DitNetworks, noisy: Tensor, time: float, sequence: Tensor | None, context: Tensor
) -> Tensor:
    """`[1, frames, channels]` float32; without a `sequence`, for the null condition."""
    transformer = networks.transformer
    frames = torch.cat([context, noisy.to(context.dtype)], dim=-1)[0]
    heard = None if sequence is None else transformer.heard(sequence[0])
    (velocity,) = transformer([Row(frames, transformer.moments([time])[0], heard)])
    result: Tensor = velocity.float()[None]
    return result
