"""The audio codec over long audio: in tiles whose overlaps are cut off, so that joints are exact.

Source: spec dit.md 4.1 and 4.3. The codec hears less far than one overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from common.errors import AceError, Kind
from common.music import SAMPLE_RATE_HZ
from common.revision import Revision
from dit_service import heap

TILES_BETWEEN = 4
"""Of so many tiles of the codec, one begins with memory that is all given back."""


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


def tiles(length: int, size: int, overlap: int) -> list[Tile]:
    """Cover `length` with windows of at most `size`; cores follow each other without gap."""
    if length <= size:
        return [Tile(slice(0, length), slice(0, length))]
    stride = size - 2 * overlap
    cores = [slice(start, min(start + stride, length)) for start in range(0, length, stride)]
    return [
        Tile(slice(max(0, core.start - overlap), min(length, core.stop + overlap)), core) for core in cores
    ]


@dataclass(frozen=True, slots=True)
class Vae:
    revision: Revision
    network: Any
    decode_tile_frames: int = 512
    decode_overlap_frames: int = 64
    encode_tile_samples: int = 30 * SAMPLE_RATE_HZ
    encode_overlap_samples: int = 2 * SAMPLE_RATE_HZ

    @property
    def samples_per_frame(self) -> int:
        return int(self.network.hop_length)

    @property
    def latent_channels(self) -> int:
        return int(self.network.config.decoder_input_channels)

    @property
    def _device(self) -> torch.device:
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.network.parameters()).dtype
        return dtype

    def decode_tiles(self, frames: int) -> list[Tile]:
        return tiles(frames, self.decode_tile_frames, self.decode_overlap_frames)

    def decode(self, latents: Tensor) -> Iterator[Tensor]:
        """Audio of `latents` `[1, frames, channels]`, tile by tile: `[samples, 2]` float32 on the CPU.

        Raises `AceError` (INTERNAL) for latents that are no music: NaN, infinite or all zero.
        """
        refuse_unusable(latents)
        hop = self.samples_per_frame
        for tile in self._one_by_one(self.decode_tiles(latents.shape[1])):
            window = latents[:, tile.window].transpose(1, 2).to(self._dtype)
            audio: Tensor = self.network.decoder(window)
            core_samples = (tile.core.stop - tile.core.start) * hop
            yield audio[0, :, tile.lead * hop :][:, :core_samples].T.float().cpu()

    def encode_tiles(self, samples: int) -> list[Tile]:
        return tiles(samples, self.encode_tile_samples, self.encode_overlap_samples)

    def encode(self, waveform: Samples) -> Iterator[Tensor]:
        """Latents of `waveform` `[samples, 2]`, tile by tile: `[1, frames, channels]` float32.

        They are the posterior's mean, so that the same file always means the same latents.
        Samples after the last whole frame are left out; `waveform` must hold one frame at least.
        """
        hop = self.samples_per_frame
        for tile in self._one_by_one(self.encode_tiles(len(waveform))):
            window = torch.as_tensor(waveform[tile.window]).T[None].to(self._device, self._dtype)
            mean, _ = self.network.encoder(window).chunk(2, dim=1)
            core_frames = (tile.core.stop - tile.core.start) // hop
            yield mean[:, :, tile.lead // hop :][:, :, :core_frames].transpose(1, 2).float()

    def _one_by_one(self, tiles: list[Tile]) -> Iterator[Tile]:
        """`tiles`. On a CPU, memory that earlier ones have freed is given back now and then.

        The C library keeps it for the next tile, but splits it as it goes, so that it takes more and more.
        Not before every tile: fresh pages take time, and a short song does without.
        """
        for place, tile in enumerate(tiles):
            if self._device.type == "cpu" and place % TILES_BETWEEN == TILES_BETWEEN - 1:
                heap.give_back()
            yield tile


def refuse_unusable(latents: Tensor) -> None:
    """Raises `AceError` (INTERNAL) for latents that are NaN, infinite or all zero."""
    if not latents.isfinite().all():
        raise AceError(Kind.INTERNAL, "LATENTS_NOT_FINITE", "generation produced NaN or Inf latents")
    if not latents.any():
        raise AceError(
            Kind.INTERNAL,
            "LATENTS_ZERO",
            "generation produced zero latents; the checkpoint and its configuration may not match",
        )
