"""The DiT service: conditioning, diffusion and the audio codec on one device."""

import os

# Read by torch at its first tensor, which its import may make. In pages of 4 KiB a codec on a CPU waits as
# long for its buffers as it computes, for the kernel hands out, clears and takes back each page by itself:
# figures in docs/performance.md. Without effect where the kernel has no pages of 2 MiB.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # noqa: TID251 - torch reads it, not we
# Read by torch at its import; told later, it warns. On a GPU matrix products of few rows are faster by
# cuBLASLt: a song of 30 s takes a twentieth less time.
os.environ.setdefault("TORCH_BLAS_PREFER_CUBLASLT", "1")  # noqa: TID251
