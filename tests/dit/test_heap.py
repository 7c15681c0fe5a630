"""Where the service gets its memory from: one heap of the C library, and large pages for large tensors."""

import subprocess
import sys
from pathlib import Path

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


PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE_TENSOR = """
import dit_service.torch_engine
import torch

held = torch.zeros(64 << 18)
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages")))
"""


@pytest.mark.skipif(
    not PAGES.exists() or "[never]" in PAGES.read_text(), reason="the kernel has no huge pages"
)
def test_large_tensors_lie_in_huge_pages() -> None:
    told = subprocess.run([sys.executable, "-c", LARGE_TENSOR], capture_output=True, text=True, check=True)

    assert int(told.stdout) > 32 << 10, "KiB of a tensor of 64 MiB"
