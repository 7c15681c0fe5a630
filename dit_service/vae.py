"""The audio codec over long audio: in tiles whose overlaps are cut off, so that joints are exact.

Source: spec dit.md 4.1 and 4.3.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from common.errors import AceError, Kind
from common.music import SAMPLE_RATE_HZ
from common.revision import Revision
from dit_service import heap
from dit_service.canvas import SAMPLES_PER_FRAME

TILES_BETWEEN = 4
"""Of so many tiles of the codec, one begins with memory that is all given back."""
OVERLAP_FRAMES = 10
"""Further than the codec hears with the released strides: 9 frames (spec dit.md 1.2: at every rate kernels
of 7, dilated up to 9)."""


class Samples(Protocol):
    """Sound that is read a window at a time, `[samples, 2]`."""

    def __len__(self) -> int: ...

    def __getitem__(self, window: slice, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Tile:
    """A window over a sequence, and the part of it that counts."""

    window: slice
    core: slice

    @property
    def lead(self) -> int:
        """How much of the window lies before its core."""
        return int(self.core.start - self.window.start)


def tiles(length: int, size: int, overlap: int, first: int | None = None) -> list[Tile]:
    """Cover `length` with windows of at most `size`; cores follow each other without gap.

    The first window is `first` long, if given.
    """
    if length <= (size if first is None else first):
        return [Tile(slice(0, length), slice(0, length))]
    stride = size - 2 * overlap
    second = stride if first is None else first - overlap
    edges = [0, *range(second, length, stride), length]
    cores = [slice(*edge) for edge in pairwise(edges)]
    return [
        Tile(slice(max(0, core.start - overlap), min(length, core.stop + overlap)), core) for core in cores
    ]


class Coder(Protocol):
    """Computes a tile. What it gives is on the device, and may be computed still."""

    def decode(self, latents: Tensor) -> Tensor:
        """`[frames, channels]` to sound `[samples, 2]` float32."""

    def encode(self, sound: Tensor) -> Tensor:
        """`[samples, 2]` to the posterior's mean `[frames, channels]` float32."""


@dataclass(frozen=True, slots=True)
class Vae:
    revision: Revision
    network: Any
    decode_tile_frames: int = 512
    decode_overlap_frames: int = OVERLAP_FRAMES
    encode_tile_samples: int = 30 * SAMPLE_RATE_HZ
    encode_overlap_samples: int = OVERLAP_FRAMES * SAMPLES_PER_FRAME
    first_tile_frames: int | None = None
    """Less than a tile, for a song that is heard from its first; `None` is a tile as the others."""
    swift: Coder | None = None
    """What computes tiles in place of the network."""

    @property
    def samples_per_frame(self) -> int:
        return int(self.network.hop_length)

    @property
    def latent_channels(self) -> int:
        return int(self.network.config.decoder_input_channels)

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.network.parameters()).dtype
        return dtype

    def decode_tiles(self, frames: int) -> list[Tile]:
        return tiles(frames, self.decode_tile_frames, self.decode_overlap_frames, self.first_tile_frames)

    def decode(self, latents: Tensor) -> Iterator[Tensor]:
        """Audio of `latents` `[1, frames, channels]`, tile by tile: `[samples, 2]` float32 on the CPU.

        Raises `AceError` (INTERNAL) for latents that are no music: NaN, infinite or all zero.
        """
        usable = _Piece(torch.stack([latents.isfinite().all(), latents.any()]))
        begun: deque[_Piece] = deque()
        for tile in self._one_by_one(self.decode_tiles(latents.shape[1])):
            begun.append(self._begun(latents, tile))
            if len(begun) > self._ahead:
                # Not before the first tile is begun: a GPU would wait for the host.
                refuse_unusable(usable.ready())
                yield begun.popleft().ready()
        refuse_unusable(usable.ready())
        while begun:
            yield begun.popleft().ready()

    @property
    def _ahead(self) -> int:
        """Tiles that are begun before the one that is waited for: a GPU never waits for the host."""
        return 1 if self.device.type == "cuda" else 0

    def _begun(self, latents: Tensor, tile: Tile) -> "_Piece":
        hop = self.samples_per_frame
        window = latents[0, tile.window].to(self.dtype)
        sound = self._decoded(window)
        core_samples = (tile.core.stop - tile.core.start) * hop
        return _Piece(sound[tile.lead * hop :][:core_samples])

    def _decoded(self, window: Tensor) -> Tensor:
        if self.swift is not None:
            return self.swift.decode(window)
        audio: Tensor = self.network.decoder(window.T[None])
        return audio[0].T.float()

    def _encoded(self, window: Tensor) -> Tensor:
        if self.swift is not None:
            return self.swift.encode(window)
        mean: Tensor = self.network.encoder(window.T[None]).chunk(2, dim=1)[0]
        return mean[0].T.float()

    def encode_tiles(self, samples: int) -> list[Tile]:
        return tiles(samples, self.encode_tile_samples, self.encode_overlap_samples)

    def encode(self, waveform: Samples) -> Iterator[Tensor]:
        """Latents of `waveform` `[samples, 2]`, tile by tile: `[1, frames, channels]` float32.

        They are the posterior's mean, so that the same file always means the same latents.
        Samples after the last whole frame are left out; `waveform` must hold one frame at least.
        """
        hop = self.samples_per_frame
        for tile in self._one_by_one(self.encode_tiles(len(waveform))):
            window = torch.as_tensor(waveform[tile.window]).to(self.device, self.dtype)
            core_frames = (tile.core.stop - tile.core.start) // hop
            yield self._encoded(window)[None, tile.lead // hop :][:, :core_frames]

    def _one_by_one(self, tiles: list[Tile]) -> Iterator[Tile]:
        """`tiles`. On a CPU, memory that earlier ones have freed is given back now and then.

        The C library keeps it for the next tile, but splits it as it goes, so that it takes more and more.
        Not before every tile: fresh pages take time, and a short song does without.
        """
        for place, tile in enumerate(tiles):
            if self.device.type == "cpu" and place % TILES_BETWEEN == TILES_BETWEEN - 1:
                heap.give_back()
            yield tile


class _Piece:
    """Sound, or what is known of it, on its way from the device."""

    def __init__(self, told: Tensor) -> None:
        self._ended: torch.cuda.Event | None = None
        self._told = told
        if told.is_cuda:
            self._told = torch.empty(told.shape, dtype=told.dtype, pin_memory=True)
            self._told.copy_(told, non_blocking=True)
            self._ended = torch.cuda.Event()
            self._ended.record()

    def ready(self) -> Tensor:
        if self._ended is not None:
            self._ended.synchronize()
        return self._told


def refuse_unusable(usable: Tensor) -> None:
    """Raises `AceError` (INTERNAL) for latents that are not all finite, or all zero: `usable` `[2]`."""
    finite, any_sound = usable.tolist()
    if not finite:
        raise AceError(Kind.INTERNAL, "LATENTS_NOT_FINITE", "generation produced NaN or Inf latents")
    if not any_sound:
        raise AceError(
            Kind.INTERNAL,
            "LATENTS_ZERO",
            "generation produced zero latents; the checkpoint and its configuration may not match",
        )
