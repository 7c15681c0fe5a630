"""Memory and open files of every process of a system, while it is under load."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import psutil

from bench.memory import Series, open_file_count

mpl.use("Agg")
from matplotlib import pyplot as plt

FLAT_MIB_PER_MINUTE = 1.0
FLAT_FILES_PER_MINUTE = 0.5
"""What a straight line through noise may show; a leak per request shows far more under load."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One process."""

    memory: Series
    files: Series

    def broken(self) -> str:
        """What grows, in words; empty if nothing does."""
        if self.memory.slope() > FLAT_MIB_PER_MINUTE:
            return f"the memory of {self.memory.name} grows by {self.memory.slope():.2f} MiB a minute"
        if self.files.slope() > FLAT_FILES_PER_MINUTE:
            return f"the open files of {self.files.name} grow by {self.files.slope():.2f} a minute"
        return ""


def processes(roots: Mapping[str, int]) -> list[Watched]:
    """Each named process, and all that it has started."""
    found = list[Watched]()
    for name, pid in roots.items():
        root = psutil.Process(pid)
        for place, process in enumerate([root, *root.children(recursive=True)]):
            label = name if place == 0 else f"{name}, child {place}"
            found.append(
                Watched(
                    Series(label, process.pid), Series(label, process.pid, open_file_count, unit="files")
                )
            )
    return found


@asynccontextmanager
async def watching(watched: list[Watched], every_s: float) -> AsyncIterator[None]:
    """Sample while the block runs. A process that ends is sampled no more."""

    async def sample() -> None:
        while True:
            for item in watched:
                with suppress(FileNotFoundError, ProcessLookupError):
                    item.memory.sample()
                    item.files.sample()
            await asyncio.sleep(every_s)

    task = asyncio.create_task(sample())
    try:
        yield
    finally:
        task.cancel()


def table(watched: list[Watched]) -> str:
    lines = [
        "| process | MiB at first | MiB after warm-up | MiB/min | open files | files/min |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for item in watched:
        memory = [value for _, value in item.memory.after_warm_up()]
        files = [value for _, value in item.files.after_warm_up()]
        lines.append(
            f"| {item.memory.name} | {item.memory.samples[0][1]:.0f}"
            f" | {min(memory):.0f} to {max(memory):.0f} | {item.memory.slope():+.2f}"
            f" | {min(files):.0f} to {max(files):.0f} | {item.files.slope():+.2f} |"
        )
    return "\n".join(lines)


def draw(path: Path, watched: list[Watched]) -> None:
    figure, (memory, files) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for item in watched:
        for axes, series in ((memory, item.memory), (files, item.files)):
            began = series.samples[0][0]
            axes.plot(
                [at - began for at, _ in series.samples], [x for _, x in series.samples], label=series.name
            )
    memory.set(xlabel="minutes", ylabel="resident memory, MiB", ylim=(0, None))
    files.set(xlabel="minutes", ylabel="open files", ylim=(0, None))
    memory.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
