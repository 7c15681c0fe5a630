# mypy: disable-error-code="no-untyped-def, untyped-decorator, misc"
"""The smallest kernel there is: whether it can be built tells whether others can."""

import torch
import triton
import triton.language as tl


@triton.jit
def _mark(place):
    tl.store(place, 1.0)


def build() -> None:
    """Raises `RuntimeError` without a C compiler, `CalledProcessError` if it fails."""
    _mark[(1,)](torch.zeros(1, device="cuda"))
