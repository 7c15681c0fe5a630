"""A codec of the released form with random weights, which no recorded case needs."""

from typing import Any

import torch
from diffusers import AutoencoderOobleck
from torch import nn


def random_codec(**config: Any) -> AutoencoderOobleck:
    """Its weights folded, its Snakes all different; 48 kHz."""
    torch.manual_seed(0)
    codec = AutoencoderOobleck(sampling_rate=48_000, **config)
    for module in codec.modules():
        if hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)
        if hasattr(module, "alpha"):
            nn.init.normal_(module.alpha, std=0.3)
            nn.init.normal_(module.beta, std=0.3)
    return codec.eval()
