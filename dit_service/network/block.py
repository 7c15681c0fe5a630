"""One layer of the diffusion transformer, over packed rows.

Source: spec dit.md 1.6.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dit_service.network.attention import Spans, attend
from dit_service.network.sizes import LayerSizes, Sizes

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the tokens' places, each `[tokens, 1, width / 2]` float32."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Heard:
    """What a song's tokens attend to beside each other, in every layer: its condition.

    It is the same in every step, so it is computed once for a song.
    """

    keys: Tensor
    """`[layers, tokens, key heads, width]`, normed."""
    values: Tensor
    """`[layers, tokens, key heads, width]`."""

    def at(self, layer: int) -> tuple[Tensor, Tensor]:
        return self.keys[layer], self.values[layer]

    @property
    def length(self) -> int:
        return self.keys.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What a layer needs to know of the packed sequence it works on."""

    rows: Spans
    asked_rows: Spans
    """The rows that hear a condition, one at least; they come first."""
    heard: Spans
    """What those rows hear."""
    asked_tokens: int
    """Tokens of those rows."""
    rotation: Rotation
    owners: Tensor | None
    """The moment of each token, `[tokens]`; `None` where all have the first."""


@dataclass(frozen=True, slots=True, eq=False)
class Owed:
    """What a layer leaves to the next to add: there it is one step with the norm, and read once."""

    added: Tensor
    """`[tokens, hidden]`."""
    table: Tensor
    """The layer's own, whose last row is the gate."""

    def paid(self, x: Tensor, moments: Tensor, owners: Tensor | None) -> Tensor:
        return x + spread(moments[:, 5] + self.table[:, 5], owners) * self.added


class Norm(nn.Module):
    """Root mean square normalisation over the last dimension."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class SelfAttention(nn.Module):
    def __init__(self, sizes: LayerSizes, window: int | None) -> None:
        super().__init__()
        self.window, self.head_width = window, sizes.head_width
        self.parts = [sizes.query_width, sizes.key_width, sizes.key_width]
        self.qkv = nn.Linear(sizes.hidden, sum(self.parts), bias=sizes.attention_bias)
        self.o_proj = nn.Linear(sizes.query_width, sizes.hidden, bias=sizes.attention_bias)
        self.q_norm = Norm(sizes.head_width, sizes.epsilon)
        self.k_norm = Norm(sizes.head_width, sizes.epsilon)

    def forward(self, x: Tensor, rows: Spans, rotation: Rotation) -> Tensor:
        queries, keys, values = (
            part.view(len(x), -1, self.head_width) for part in torch.split(self.qkv(x), self.parts, -1)
        )
        queries, keys = rotated(self.q_norm(queries), rotation), rotated(self.k_norm(keys), rotation)
        mixed = self.heard(queries, keys, values, rows)
        return self.o_proj(mixed.flatten(1))  # type: ignore[no-any-return]

    def heard(self, queries: Tensor, keys: Tensor, values: Tensor, rows: Spans) -> Tensor:
        return attend(queries, keys, values, rows, rows, self.window)


class CrossAttention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.head_width = sizes.head_width
        self.sharing = sizes.heads // sizes.key_heads
        self.query = nn.Linear(sizes.hidden, sizes.query_width, bias=sizes.attention_bias)
        self.key_value = nn.Linear(sizes.hidden, 2 * sizes.key_width, bias=sizes.attention_bias)
        self.o_proj = nn.Linear(sizes.query_width, sizes.hidden, bias=sizes.attention_bias)
        self.q_norm = Norm(sizes.head_width, sizes.epsilon)
        self.k_norm = Norm(sizes.head_width, sizes.epsilon)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, around: Around) -> Tensor:
        """For tokens of the rows that are asked; `keys` and `values` are this layer's."""
        queries = self.query(x).unflatten(-1, (-1, self.head_width))
        norm, epsilon = self.q_norm.weight, self.q_norm.epsilon
        mixed = attend(queries, keys, values, around.asked_rows, around.heard, norm=norm, epsilon=epsilon)
        return self.o_proj(mixed.flatten(1))  # type: ignore[no-any-return]

    def heard(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[tokens, key heads, width]` of a condition `[tokens, hidden]`."""
        keys, values = self.key_value(condition).unflatten(-1, (2, -1, self.head_width)).unbind(1)
        return self.k_norm(keys), values

    def unasked(self, null: Tensor) -> Tensor:
        """What is heard where all of the condition is `null` `[1, hidden]`: the same by every query.

        All keys are equal, so all weights are, and the values too (spec dit.md 10.10).
        """
        _, values = self.heard(null)
        return self.o_proj(values.repeat_interleave(self.sharing, 1).flatten(1))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__()
        self.gate_up = nn.Linear(sizes.hidden, 2 * sizes.feed_forward, bias=False)
        self.down_proj = nn.Linear(sizes.feed_forward, sizes.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down_proj(functional.silu(gate) * up)  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, sizes: Sizes, window: int | None) -> None:
        super().__init__()
        self.self_attn_norm = Norm(sizes.hidden, sizes.epsilon)
        self.self_attn = SelfAttention(sizes, window)
        self.cross_attn_norm = Norm(sizes.hidden, sizes.epsilon)
        self.cross_attn = CrossAttention(sizes)
        self.mlp_norm = Norm(sizes.hidden, sizes.epsilon)
        self.mlp = FeedForward(sizes)
        self.scale_shift_table = nn.Parameter(torch.empty(1, 6, sizes.hidden))

    def forward(
        self,
        x: Tensor,
        owed: Owed,
        moments: Tensor,
        heard: tuple[Tensor, Tensor],
        unasked: Tensor,
        around: Around,
    ) -> tuple[Tensor, Tensor]:
        """`x` `[tokens, hidden]` one layer on, but for what its feed-forward adds, which comes beside it.

        `owed` is what the layer before did not add. `moments` are what each time does to all layers,
        `[moments, 6, hidden]`. `heard` are this layer's keys and values for the rows that are asked,
        `unasked` `[1, hidden]` is for the others.
        """
        told = spread(moments + self.scale_shift_table, around.owners)
        shift, scale, gate, late_shift, late_scale, _ = told.unbind(1)
        x = owed.paid(x, moments, around.owners)
        x = x + gate * self.self_attn(
            self.self_attn_norm(x) * (1 + scale) + shift, around.rows, around.rotation
        )
        asked, others = x[: around.asked_tokens], x[around.asked_tokens :]
        asked = asked + self.cross_attn(self.cross_attn_norm(asked), *heard, around)
        x = torch.cat([asked, others + unasked]) if len(others) else asked
        return x, self.mlp(self.mlp_norm(x) * (1 + late_scale) + late_shift)

    def owes(self, added: Tensor) -> "Owed":
        return Owed(added, self.scale_shift_table)


def spread(per_moment: Tensor, owners: Tensor | None) -> Tensor:
    """From one for each moment to one for each token; the first alone serves all tokens as it is."""
    return per_moment[:1] if owners is None else per_moment.index_select(0, owners)


def rotation(lengths: tuple[int, ...], sizes: LayerSizes, device: torch.device) -> Rotation:
    """Cosines and sines of places counted from each row's start."""
    places = torch.cat([torch.arange(length, device=device, dtype=torch.float32) for length in lengths])
    steps = torch.arange(0, sizes.head_width, 2, device=device, dtype=torch.float32) / sizes.head_width
    angles = torch.outer(places, 1.0 / sizes.rope_theta**steps)[:, None]
    return angles.cos(), angles.sin()


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """`[tokens, heads, width]`, turned by the tokens' places; first and second half are the pairs."""
    cosines, sines = rotation
    first, second = x.float().chunk(2, -1)
    turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)
    return turned.to(x.dtype)
