"""Where a render works: a source, room beyond its ends, and the regions that are made anew.

Source: spec dit.md 2.7 (regions) and 3.7 (ramps).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from common.music import LATENT_RATE_HZ, SAMPLE_RATE_HZ

SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // LATENT_RATE_HZ


@dataclass(frozen=True, slots=True)
class Region:
    """A span of time in a source. What lies beyond the source's ends makes the song longer."""

    start_s: float
    end_s: float | None
    """`None` is the source's end."""


@dataclass(frozen=True, slots=True)
class Canvas:
    lead_samples: int
    """Silence before the source."""
    sample_count: int
    """In all, silence at both ends included; a frame at least."""
    regions: tuple[tuple[float, float], ...]
    """Start and end in seconds from the canvas' own start."""

    @property
    def frame_count(self) -> int:
        return self.sample_count // SAMPLES_PER_FRAME

    def frame_spans(self) -> list[slice]:
        """The regions in latent frames: each has one at least."""
        last = self.frame_count - 1
        starts = [min(_samples(start) // SAMPLES_PER_FRAME, last) for start, _ in self.regions]
        ends = [_samples(end) // SAMPLES_PER_FRAME for _, end in self.regions]
        return [
            slice(start, min(max(end, start + 1), last + 1))
            for start, end in zip(starts, ends, strict=True)
        ]

    def sample_spans(self) -> list[slice]:
        return [slice(_samples(start), _samples(end)) for start, end in self.regions]


def lay_out(source_samples: int, regions: Sequence[Region]) -> Canvas:
    """The canvas for a source of so many samples: as long as it, or as the regions reach."""
    length_s = source_samples / SAMPLE_RATE_HZ
    spans = [(region.start_s, length_s if region.end_s is None else region.end_s) for region in regions]
    lead_s = max(chain([0.0], (-start for start, _ in spans)))
    tail_s = max(chain([0.0], (end - length_s for _, end in spans)))
    lead = _samples(lead_s)
    return Canvas(
        lead_samples=lead,
        sample_count=max(lead + source_samples + _samples(tail_s), SAMPLES_PER_FRAME),
        regions=tuple((start + lead_s, end + lead_s) for start, end in spans),
    )


def soft_mask(
    length: int, spans: Sequence[slice], ramp: int, window: slice | None = None
) -> npt.NDArray[np.float32]:
    """`[length]`: 1 inside `spans`, 0 outside, with straight ramps of up to `ramp` outside each edge.

    With a `window`, only the part of it in there is made.
    """
    window = window or slice(0, length)
    mask = np.zeros(window.stop - window.start, np.float32)
    for span in spans:
        start, stop = min(span.start, length), min(span.stop, length)
        before, after = start - max(0, span.start - ramp), min(stop + ramp, length) - stop
        rise, fall = _rising(before), _rising(after)[::-1]
        for first, values in ((start - before, rise), (stop, fall)):
            _lift(mask, first - window.start, values)
        # Not lifted: a region may be the whole song, and the window a moment of it.
        mask[max(0, start - window.start) : max(0, stop - window.start)] = 1
    return mask


def _lift(mask: npt.NDArray[np.float32], first: int, values: npt.NDArray[np.floating]) -> None:
    """Raise `mask` to `values` from `first` on, as far as they lie in it."""
    part = mask[max(0, first) : max(0, first + len(values))]
    np.maximum(part, values[max(0, -first) :][: len(part)], out=part)


def _rising(count: int) -> npt.NDArray[np.float32]:
    """`count` values between 0 and 1, neither included."""
    return np.linspace(0, 1, max(0, count) + 2, dtype=np.float32)[1:-1]


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE_HZ)
