"""Transformers that turn one sequence into what steers a song: its text, its lyrics, its timbre.

Source: spec dit.md 1.2 and 2.2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dit_service.checkpoint import published_name
from dit_service.network.attention import Spans, spans
from dit_service.network.block import FeedForward, Norm, Rotation, SelfAttention, rotation
from dit_service.network.sizes import LayerSizes
from dit_service.network.weights import join_layer


class CausalAttention(SelfAttention):
    """A token hears those before it. The sequence begins at the first, whatever lies after its end."""

    def heard(self, queries: Tensor, keys: Tensor, values: Tensor, rows: Spans) -> Tensor:
        queries, keys, values = (heads.transpose(0, 1)[None] for heads in (queries, keys, values))
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=True, enable_gqa=True
        )
        return mixed[0].transpose(0, 1)


class EncoderLayer(nn.Module):
    def __init__(self, sizes: LayerSizes, attention: SelfAttention) -> None:
        super().__init__()
        self.input_layernorm = Norm(sizes.hidden, sizes.epsilon)
        self.self_attn = attention
        self.post_attention_layernorm = Norm(sizes.hidden, sizes.epsilon)
        self.mlp = FeedForward(sizes)

    def forward(self, x: Tensor, rows: Spans, rotation: Rotation) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rows, rotation)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    def __init__(self, sizes: LayerSizes, attentions: Sequence[SelfAttention]) -> None:
        super().__init__()
        self.sizes = sizes
        self.layers = nn.ModuleList(EncoderLayer(sizes, attention) for attention in attentions)
        self.norm = Norm(sizes.hidden, sizes.epsilon)
        self.embed_tokens: nn.Module = nn.Identity()
        self.hurried: Callable[[Tensor], Tensor] | None = None
        """What computes the same faster, where there is such."""

    @property
    def dtype(self) -> torch.dtype:
        return self.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.norm.weight.device

    def forward(self, x: Tensor) -> Tensor:
        """From embedded tokens `[tokens, hidden]` to what the encoder makes of them, of the same shape."""
        return self.alone(x) if self.hurried is None else self.hurried(x)

    def alone(self, x: Tensor) -> Tensor:
        return self.within(x, spans((len(x),), x.device))

    def within(self, x: Tensor, rows: Spans) -> Tensor:
        """Of a sequence that ends where its only row does; what lies after it is heard by none."""
        places = rotation((len(x),), self.sizes, x.device)
        for layer in self.layers:
            x = layer(x, rows, places)
        return self.norm(x)  # type: ignore[no-any-return]


def taken_over(module: Any, sizes: LayerSizes, windows: Sequence[int | None] | None) -> Encoder:
    """An encoder with the weights and the embedding of `module`, of diffusers or transformers.

    A layer hears a window to either side, or all; without `windows` it hears what was before.
    """
    with torch.device("meta"):
        attentions = (
            [CausalAttention(sizes, None) for _ in module.layers]
            if windows is None
            else [SelfAttention(sizes, window) for window in windows]
        )
        encoder = Encoder(sizes, attentions)
    tensors = {
        published_name(name): tensor
        for name, tensor in module.state_dict().items()
        if name.startswith(("layers.", "norm."))
    }
    for place in range(len(encoder.layers)):
        join_layer(tensors, f"layers.{place}", sizes)
    encoder.load_state_dict(tensors, strict=True, assign=True)
    encoder.embed_tokens = module.embed_tokens
    return encoder.eval().requires_grad_(False)
