"""Memory and open files of every process of a system, while it is under load."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import psutil

from bench.memory import Series, open_file_count

mpl.use("Agg")
from matplotlib import pyplot as plt

LEAK_SHARE = 0.1
LEAK_LEAST = {"MiB": 20.0, "files": 5.0}
"""What is called a leak: the last third of the time has so much more than the third before it, by the
median. A slope alone says little where songs of half a minute come and go."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One process."""

    memory: Series
    files: Series

    def broken(self) -> str:
        """What grows, in words; empty if nothing does."""
        for series in (self.memory, self.files):
            before, after = thirds(series)
            if after - before > max(LEAK_SHARE * before, LEAK_LEAST[series.unit]):
                return f"{series.name} grew from {before:.0f} to {after:.0f} {series.unit}"
        return ""


def thirds(series: Series) -> tuple[float, float]:
    """Medians of the second and of the last third of the time."""
    samples = series.after_warm_up()
    middle = (samples[0][0] + samples[-1][0]) / 2
    before = [value for at, value in samples if at < middle] or [samples[0][1]]
    return statistics.median(before), statistics.median([value for at, value in samples if at >= middle])


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
        "| process | MiB at first | MiB after warm-up | median, second and last third | open files |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for item in watched:
        memory = [value for _, value in item.memory.after_warm_up()]
        files = [value for _, value in item.files.after_warm_up()]
        before, after = thirds(item.memory)
        lines.append(
            f"| {item.memory.name} | {item.memory.samples[0][1]:.0f}"
            f" | {min(memory):.0f} to {max(memory):.0f} | {before:.0f}, {after:.0f}"
            f" | {min(files):.0f} to {max(files):.0f} |"
        )
    return "\n".join(lines)


def as_json(watched: list[Watched]) -> list[dict[str, object]]:
    """The samples: minutes since an arbitrary moment, MiB or files."""
    return [
        {"process": item.memory.name, "memory_mib": item.memory.samples, "files": item.files.samples}
        for item in watched
    ]


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
