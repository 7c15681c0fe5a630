"""The environment variables that vLLM reads. Set before vLLM is imported, here and nowhere else."""

import os


def prepare(cpu_threads: int | None, batch_invariant: bool = False) -> None:
    """Settle what vLLM would otherwise decide by itself or from the machine's environment.

    With `batch_invariant` a row's sums do not depend on how many rows there are (CUDA only).
    `cpu_threads` are for computing on a CPU; None takes half of the cores, as the diffusion model
    needs some too. More threads than free cores are slower than one. Source: spec vllm.md 2.
    """
    threads = cpu_threads or max(1, len(os.sched_getaffinity(0)) // 2)
    os.environ.update(
        {
            # The runner whose processors see the scores of the whole batch. Source: spec vllm.md 3.
            "VLLM_USE_V2_MODEL_RUNNER": "0",
            "VLLM_BATCH_INVARIANT": str(int(batch_invariant)),
            # The engine lives in one process of its own, its worker in the same.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
            # Logs are ours to configure, and nothing is reported to anyone.
            "VLLM_CONFIGURE_LOGGING": "0",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(threads),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
    )
