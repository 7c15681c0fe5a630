"""The network that predicts velocities: songs of any length and at any time, in one pass.

A pass packs its rows one after the other, without padding, so that a song's samples cannot depend
on its neighbours. `pack` gathers what a pass reads, `flow` computes: it has static shapes for a
layout and never asks the device for a number.
Source: spec dit.md 1.6 and 10.10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dit_service.network.attention import spans
from dit_service.network.block import Around, Block, Heard, Norm
from dit_service.network.clock import Moment, TimeEmbedding
from dit_service.network.sizes import Sizes

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
    owners: Tensor | None
    """The moment of each token, `[tokens]`; `None` where all have the same."""
    heard: Heard
    """What the rows hear that hear a condition, joined."""
    around: Around


class DiffusionTransformer(nn.Module):
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

    @property
    def blocks(self) -> list[Block]:
        return cast(list[Block], list(self.layers))

    @property
    def dtype(self) -> torch.dtype:
        return self.proj_in.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.proj_in.weight.device

    def know_null(self, null: Tensor) -> None:
        """Take note of the null condition `[1, condition width]`: in every song the same."""
        condition = self.condition_embedder(null)
        heard = torch.stack([block.cross_attn.unasked(condition) for block in self.blocks])
        self.register_buffer("unasked", heard, persistent=False)

    def heard(self, condition: Tensor) -> Heard:
        """What a song hears of its condition `[tokens, condition width]`, in all of its steps."""
        embedded = self.condition_embedder(condition)
        sides = [block.cross_attn.heard(embedded) for block in self.blocks]
        keys, values = zip(*sides, strict=True)
        return Heard(torch.stack(keys), torch.stack(values))

    def moments(self, times: Sequence[float], targets: Sequence[float] | None = None) -> list[Moment]:
        """A schedule's times. `targets` are those that the network flows to: `times` themselves."""
        spans = list(zip(times, times if targets is None else targets, strict=True))
        now, later = torch.tensor(spans, device=self.device).unbind(1)
        (embeddings, projections), (far, farther) = self.time_embed(now), self.time_embed_r(now - later)
        return [
            Moment(*moment) for moment in zip(spans, embeddings + far, projections + farther, strict=True)
        ]

    def forward(self, rows: Sequence[Row]) -> list[Tensor]:
        """Velocities `[frames, channels]`, in the order of `rows`."""
        order = sorted(range(len(rows)), key=lambda place: rows[place].heard is None)
        ordered = [rows[place] for place in order]
        packed = self.pack(ordered)
        parts = torch.split(self.flow(packed), list(packed.around.rows.lengths))
        velocities = {
            place: part.view(-1, self.sizes.channels)[: len(row.frames)]
            for place, part, row in zip(order, parts, ordered, strict=True)
        }
        return [velocities[place] for place in range(len(rows))]

    def pack(self, rows: Sequence[Row]) -> Packed:
        """`rows` with those first that hear a condition."""
        patches = [self._patches(row.frames) for row in rows]
        lengths = tuple(len(patch) for patch in patches)
        hearing = [row.heard for row in rows if row.heard is not None]
        known = {row.moment.times: row.moment for row in rows}
        moments, places = list(known.values()), list(known)
        which = tuple(places.index(row.moment.times) for row in rows)
        return Packed(
            patches=_joined(patches),
            embeddings=torch.stack([moment.embedding for moment in moments]),
            projections=torch.stack([moment.projection for moment in moments]),
            owners=_owners(lengths, which, self.device) if len(moments) > 1 else None,
            heard=_heard_by_all(hearing),
            around=_around(lengths, tuple(heard.length for heard in hearing), self.sizes, self.device),
        )

    def flow(self, packed: Packed) -> Tensor:
        """Velocities of all tokens, `[tokens, patch * channels]`."""
        x = self.proj_in(packed.patches)
        for place, block in enumerate(self.blocks):
            moment = _spread(packed.projections + block.scale_shift_table, packed.owners)
            x = block(x, moment, packed.heard.at(place), self.unasked[place], packed.around)
        shift, scale = _spread(self.scale_shift_table + packed.embeddings[:, None], packed.owners).unbind(1)
        return self.proj_out(self.norm_out(x) * (1 + scale) + shift)  # type: ignore[no-any-return]

    def _patches(self, frames: Tensor) -> Tensor:
        missing = -len(frames) % self.sizes.patch
        whole = functional.pad(frames, (0, 0, 0, missing)) if missing else frames
        return whole.reshape(-1, self.sizes.patch * self.sizes.frame_width)


def _spread(per_moment: Tensor, owners: Tensor | None) -> Tensor:
    """From one for each moment to one for each token; one alone serves all tokens as it is."""
    return per_moment if owners is None else per_moment.index_select(0, owners)


def _joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)


def _heard_by_all(hearing: Sequence[Heard]) -> Heard:
    keys, values = [heard.keys for heard in hearing], [heard.values for heard in hearing]
    return Heard(_joined(keys, dim=1), _joined(values, dim=1))


@lru_cache(maxsize=KEPT)
def _owners(lengths: tuple[int, ...], which: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.repeat_interleave(torch.tensor(which), torch.tensor(lengths)).to(device)


@lru_cache(maxsize=KEPT)
def _around(lengths: tuple[int, ...], heard: tuple[int, ...], sizes: Sizes, device: torch.device) -> Around:
    return Around(
        rows=spans(lengths, device),
        asked_rows=spans(lengths[: len(heard)], device),
        heard=spans(heard, device),
        rotation=_rotation(lengths, sizes.head_width, sizes.rope_theta, device),
    )


def _rotation(
    lengths: tuple[int, ...], width: int, theta: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of places counted from each row's start."""
    places = torch.cat([torch.arange(length, device=device, dtype=torch.float32) for length in lengths])
    steps = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    angles = torch.outer(places, 1.0 / theta**steps)[:, None]
    return angles.cos(), angles.sin()
