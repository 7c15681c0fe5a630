"""The network that predicts velocities: songs of any length and at any time, in one pass.

A pass packs its rows one after the other, without padding, so that a song's samples cannot depend
on its neighbours. `pack` gathers what a pass reads, `flow` computes: it has static shapes for a
layout and never asks the device for a number.
Source: spec dit.md 1.6 and 10.10.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dit_service.network.attention import spans
from dit_service.network.block import Around, Block, Heard, Norm, Owed, rotation, spread
from dit_service.network.clock import Moment, TimeEmbedding
from dit_service.network.compiling import compiled
from dit_service.network.sizes import Sizes
from dit_service.sent import sent

KEPT = 8
"""Layouts of batches whose places are kept on the device: about one for each model that works. Each
takes 512 bytes a token, which 16 guided songs of ten minutes make 120 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One song in a pass, or the half of its guidance that hears no condition."""

    frames: Tensor
    """Source, mask and noisy latents: `[frames, frame width]`, in the network's type."""
    moment: Moment
    heard: Heard | None
    """`None` for the null condition."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """All that a pass reads. Rows that hear a condition come first."""

    patches: Tensor
    """`[tokens, patch * frame width]`."""
    embeddings: Tensor
    """`[moments, hidden]`, one for each time that differs."""
    projections: Tensor
    """`[moments, 6, hidden]`."""
    heard: Heard
    """What the rows hear that hear a condition, joined."""
    around: Around


class DiffusionTransformer(nn.Module):
    key_values: Tensor
    """What makes keys and values of a condition in each layer, `[layers, 2 * key width, hidden]`."""
    unasked: Tensor
    """What rows without condition hear in each layer, `[layers, 1, hidden]`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.proj_in = nn.Linear(sizes.patch * sizes.frame_width, sizes.hidden)
        self.time_embed = TimeEmbedding(sizes.hidden)
        self.time_embed_r = TimeEmbedding(sizes.hidden)
        self.condition_embedder = nn.Linear(sizes.condition_width, sizes.hidden)
        self.layers = nn.ModuleList(
            Block(sizes, sizes.window if sliding else None) for sliding in sizes.sliding
        )
        self.norm_out = Norm(sizes.hidden, sizes.epsilon)
        self.proj_out = nn.Linear(sizes.hidden, sizes.patch * sizes.channels)
        self.scale_shift_table = nn.Parameter(torch.empty(1, 2, sizes.hidden))
        self.finished = self.finish
        self.hurried: Callable[[Sequence[Row]], list[Tensor]] | None = None
        """What computes the flow of rows faster than `pack` and `flow`, where there is such."""

    @property
    def blocks(self) -> list[Block]:
        return cast(list[Block], list(self.layers))

    @property
    def dtype(self) -> torch.dtype:
        return self.proj_in.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.proj_in.weight.device

    def prepare(self, null: Tensor) -> None:
        """Once weights are there, and move no more. `null` is the null condition `[1, condition width]`."""
        attentions = [block.cross_attn for block in self.blocks]
        self.key_values = torch.stack([attention.key_value.weight for attention in attentions])
        for attention, weight in zip(attentions, self.key_values, strict=True):
            attention.key_value.weight = nn.Parameter(weight, requires_grad=False)  # the same memory
        condition = self.condition_embedder(null)
        heard = torch.stack([attention.unasked(condition) for attention in attentions])
        self.register_buffer("unasked", heard, persistent=False)

    def heard(self, condition: Tensor) -> Heard:
        """What a song hears of its condition `[tokens, condition width]`, in all of its steps."""
        attentions = [block.cross_attn for block in self.blocks]
        # In all layers at once: layer by layer, starting the work takes longer than doing it.
        told = torch.einsum("th,lkh->ltk", self.condition_embedder(condition), self.key_values)
        if self.sizes.attention_bias:
            told = told + torch.stack([attention.key_value.bias for attention in attentions])[:, None]
        keys, values = told.unflatten(-1, (2, -1, self.sizes.head_width)).unbind(2)
        norms = torch.stack([attention.k_norm.weight for attention in attentions])[:, None, None]
        normed = functional.rms_norm(keys.float(), norms.shape[-1:], eps=self.sizes.epsilon) * norms
        return Heard(normed.to(keys.dtype), values.contiguous())

    def moments(self, times: Sequence[float], targets: Sequence[float] | None = None) -> list[Moment]:
        """A schedule's times. `targets` are those that the network flows to: `times` themselves."""
        spans = list(zip(times, times if targets is None else targets, strict=True))
        now, later = sent(torch.tensor(spans), self.device).unbind(1)
        (embeddings, projections), (far, farther) = self.time_embed(now), self.time_embed_r(now - later)
        return [
            Moment(*moment) for moment in zip(spans, embeddings + far, projections + farther, strict=True)
        ]

    def forward(self, rows: Sequence[Row]) -> list[Tensor]:
        """Velocities `[frames, channels]`, in the order of `rows`."""
        order = sorted(range(len(rows)), key=lambda place: rows[place].heard is None)
        ordered = [rows[place] for place in order]
        parts = self._packed(ordered) if self.hurried is None else self.hurried(ordered)
        velocities = {
            place: part.view(-1, self.sizes.channels)[: len(row.frames)]
            for place, part, row in zip(order, parts, ordered, strict=True)
        }
        return [velocities[place] for place in range(len(rows))]

    def _packed(self, rows: Sequence[Row]) -> list[Tensor]:
        return list(torch.split(self.flow(self.pack(rows)), [self.token_count(row) for row in rows]))

    def token_count(self, row: Row) -> int:
        return -(-len(row.frames) // self.sizes.patch)

    def pack(self, rows: Sequence[Row], uniform: bool = False) -> Packed:
        """`rows` with those first that hear a condition.

        Where `uniform`, one moment is told as two are: what is compiled knows one form only.
        """
        patches = [self.patches(row.frames) for row in rows]
        lengths = tuple(len(patch) for patch in patches)
        hearing = [row.heard for row in rows if row.heard is not None]
        moments, which = told_apart(rows)
        if uniform and len(moments) == 1:
            moments *= 2
        return Packed(
            patches=_joined(patches),
            embeddings=torch.stack([moment.embedding for moment in moments]),
            projections=torch.stack([moment.projection for moment in moments]),
            heard=_heard_by_all(hearing),
            around=around(
                lengths,
                tuple(heard.length for heard in hearing),
                which if len(moments) > 1 else None,
                self.sizes,
                self.device,
            ),
        )

    def flow(self, packed: Packed) -> Tensor:
        """Velocities of all tokens, `[tokens, patch * channels]`."""
        x = self.proj_in(packed.patches)
        owed = self.blocks[-1].owes(
            torch.zeros_like(x)
        )  # nothing; not of the first, which is its own layer
        for place, block in enumerate(self.blocks):
            x, added = block(
                x, owed, packed.projections, packed.heard.at(place), self.unasked[place], packed.around
            )
            owed = block.owes(added)
        return self.finished(x, owed, packed)

    def finish(self, x: Tensor, owed: Owed, packed: Packed) -> Tensor:
        """From what the last layer made of the tokens to their velocities."""
        owners = packed.around.owners
        told = self.scale_shift_table + packed.embeddings[:, None]
        shift, scale = spread(told, owners).unbind(1)
        x = owed.paid(x, packed.projections, owners)
        return self.proj_out(self.norm_out(x) * (1 + scale) + shift)  # type: ignore[no-any-return]

    def compile_parts(self, backend: str) -> None:
        """Compile what a pass is made of, each once for all sizes, at the first pass."""
        compiled(self.blocks, backend)
        self.finished = torch.compile(self.finish, dynamic=True, backend=backend)

    def patches(self, frames: Tensor) -> Tensor:
        missing = -len(frames) % self.sizes.patch
        whole = functional.pad(frames, (0, 0, 0, missing)) if missing else frames
        return whole.reshape(-1, self.sizes.patch * self.sizes.frame_width)


def told_apart(rows: Sequence[Row]) -> tuple[list[Moment], tuple[int, ...]]:
    """The moments that differ, and which of them is each row's."""
    known = {row.moment.times: row.moment for row in rows}
    places = list(known)
    return list(known.values()), tuple(places.index(row.moment.times) for row in rows)


def _joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)


def _heard_by_all(hearing: Sequence[Heard]) -> Heard:
    keys, values = [heard.keys for heard in hearing], [heard.values for heard in hearing]
    return Heard(_joined(keys, dim=1), _joined(values, dim=1))


@lru_cache(maxsize=KEPT)
def around(
    lengths: tuple[int, ...],
    heard: tuple[int, ...],
    which: tuple[int, ...] | None,
    sizes: Sizes,
    device: torch.device,
) -> Around:
    """Of rows of so many tokens, the first of which hear so many; `which` is the moment of each."""
    owners = None
    if which is not None:
        owners = torch.repeat_interleave(torch.tensor(which), torch.tensor(lengths)).to(device)
    asked = lengths[: len(heard)]
    return Around(
        rows=spans(lengths, device),
        asked_rows=spans(asked, device),
        heard=spans(heard, device),
        asked_tokens=sum(asked),
        rotation=rotation(lengths, sizes, device),
        owners=owners,
    )
