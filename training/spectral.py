"""How far two sounds are apart, as spectra of several resolutions."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

WINDOWS = (4096, 2048, 1024, 512, 256, 128)


@cache
def _window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)


def magnitudes(sound: Tensor, size: int) -> Tensor:
    """`[..., samples]` to `[rows, bins, frames]`; a sine of full scale reads about 0.5."""
    rows = sound.reshape(-1, sound.shape[-1])
    window = _window(size, sound.device)
    spectrum = torch.stft(rows, size, size // 4, window=window, return_complex=True)
    return spectrum.abs() / window.sum()


def middle_and_side(sound: Tensor) -> Tensor:
    """`[batch, 2, samples]` to `[batch, 4, samples]`: left, right, and their mean and difference."""
    left, right = sound[:, :1], sound[:, 1:]
    return torch.cat([left, right, (left + right) / 2, (left - right) / 2], dim=1)


def distance(made: Tensor, wanted: Tensor, windows: Sequence[int] = WINDOWS) -> Tensor:
    """Mean over resolutions of the relative error and of the difference of logarithms, floored at 1e-4."""
    made, wanted = middle_and_side(made.float()), middle_and_side(wanted.float())
    total = torch.zeros((), device=made.device)
    for size in windows:
        ours, theirs = magnitudes(made, size), magnitudes(wanted, size)
        relative = (theirs - ours).norm() / theirs.norm().clamp(min=1e-3)
        logarithms = (torch.log(ours + 1e-4) - torch.log(theirs + 1e-4)).abs().mean()
        total = total + relative + logarithms
    return total / len(windows)
