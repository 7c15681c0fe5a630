"""All threads of the service share one heap of the C library."""

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys, threading
from dit_service import heap

if sys.argv[1] == "shared":
    heap.share()
library = ctypes.CDLL(None)
library.malloc.restype = library.fdopen.restype = ctypes.c_void_p
held = threading.Barrier(3)

def compute():
    library.malloc(ctypes.c_size_t(1000))
    held.wait()

for _ in range(2):
    threading.Thread(target=compute).start()
held.wait()
out = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, out)
library.fflush(out)
"""


@pytest.mark.parametrize(("way", "heaps"), [("shared", 1), ("as it is", 3)])
def test_threads_share_one_heap(way: str, heaps: int) -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT, way], capture_output=True, text=True, check=True)

    assert told.stdout.count("<heap nr=") == heaps
