"""How the C library keeps memory that was freed. Without effect where it is not glibc."""

import ctypes

_C_LIBRARY = ctypes.CDLL(None)
_M_ARENA_MAX = -8
"""Of `mallopt`, as glibc's `malloc.h` has it."""


def share() -> None:
    """Give all threads one heap. To be called before there are any.

    glibc gives every thread a heap of its own, in pieces of 64 MiB. Into these the buffers of the codec's
    tiles fit badly: decoding took 150 to 250 MiB more.
    """
    if limit := getattr(_C_LIBRARY, "mallopt", None):
        limit(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return all of it to the kernel, in a few milliseconds.

    What is kept gets split by whatever comes next, and then serves no large block any more: after a
    while several tiles of the codec would lie there.
    """
    if trim := getattr(_C_LIBRARY, "malloc_trim", None):
        trim(0)
