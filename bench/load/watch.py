"""Memory and open files of every process of a system, while it is under load."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import psutil

from bench.load.caller import Outcome
from bench.memory import MIB, Series, open_file_count
from gateway.settings import Settings

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
    kept_mib: list[float] = field(default_factory=list)
    """What it keeps by design, at the moments at which its memory was sampled; empty for nothing."""

    def rest(self) -> Series:
        """Memory but for what is kept by design."""
        kept = self.kept_mib or [0.0] * len(self.memory.samples)
        samples = [(at, mib - less) for (at, mib), less in zip(self.memory.samples, kept, strict=True)]
        return Series(self.memory.name, self.memory.pid, samples=samples)

    def broken(self) -> str:
        """What grows, in words; empty if nothing does."""
        for series in (self.rest(), self.files):
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


def keep_results(gateway: Watched, outcomes: Sequence[Outcome], began_s: float) -> None:
    """Note which results the gateway kept for repeated requests. `began_s` is on the monotonic clock.

    Its memory follows them: what it made in the last minutes, at most `kept_bytes`. Its other memory is
    what may not grow.
    """
    settings = Settings()
    ends = [(began_s + outcome.ask.at_s + outcome.done_s, outcome.byte_count) for outcome in outcomes]
    for minute, _ in gateway.memory.samples:
        recent = sum(size for end, size in ends if 0 <= 60 * minute - end < settings.kept_s)
        gateway.kept_mib.append(min(recent, settings.kept_bytes) / MIB)


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
        "| process | MiB at first | MiB after warm-up | kept by design | the rest: median of 2nd and last"
        " third | open files |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for item in watched:
        memory = [value for _, value in item.memory.after_warm_up()]
        files = [value for _, value in item.files.after_warm_up()]
        before, after = thirds(item.rest())
        kept = item.kept_mib[-len(memory) :]
        told = f"{min(kept):.0f} to {max(kept):.0f}" if kept else "none"
        lines.append(
            f"| {item.memory.name} | {item.memory.samples[0][1]:.0f}"
            f" | {min(memory):.0f} to {max(memory):.0f} | {told} | {before:.0f}, {after:.0f}"
            f" | {min(files):.0f} to {max(files):.0f} |"
        )
    return "\n".join(lines)


def as_json(watched: list[Watched]) -> list[dict[str, object]]:
    """The samples: minutes since an arbitrary moment, MiB or files."""
    return [
        {
            "process": item.memory.name,
            "memory_mib": item.memory.samples,
            "kept_mib": item.kept_mib,
            "files": item.files.samples,
        }
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
