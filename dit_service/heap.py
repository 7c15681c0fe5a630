"""Memory that was freed, and that the C library keeps for the next time it is asked."""

import ctypes

_C_LIBRARY = ctypes.CDLL(None)


def give_back() -> None:
    """Return all of it to the kernel, in a few milliseconds.

    What is kept gets split by whatever comes next, and then serves no large block any more: after a
    while several tiles of the codec would lie there. Without effect where the C library is not glibc.
    """
    if trim := getattr(_C_LIBRARY, "malloc_trim", None):
        trim(0)
