"""Whether processes keep what they have, memory or files: read from `/proc`, judged by a straight line."""

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20


def resident_mib(pid: int) -> float:
    """Memory of this process in use, files in memory included, in MiB.

    Raises `FileNotFoundError` if it has ended.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / MIB + _files_in_memory_mib(pid)
    raise FileNotFoundError(f"process {pid} has ended")


def _files_in_memory_mib(pid: int) -> float:
    """Of files that have no other place, as songs while they are encoded; nothing else counts them."""
    size = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if str(entry.readlink()).startswith("/memfd:"):
                size += entry.stat().st_blocks * 512
    return size / MIB


def open_file_count(pid: int) -> float:
    """File descriptors of this process. Raises `FileNotFoundError` if it has ended."""
    return float(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


@dataclass(slots=True)
class Series:
    """What one process has over time: memory, unless `measure` reads something else."""

    name: str
    pid: int
    measure: Callable[[int], float] = resident_mib
    unit: str = "MiB"
    samples: list[tuple[float, float]] = field(default_factory=list)
    """Minutes since an arbitrary moment, and the unit."""

    def sample(self) -> None:
        self.samples.append((time.monotonic() / 60, self.measure(self.pid)))

    def after_warm_up(self) -> list[tuple[float, float]]:
        """The samples of the last two thirds of the time."""
        first, last = self.samples[0][0], self.samples[-1][0]
        return [sample for sample in self.samples if sample[0] >= first + (last - first) / 3]

    def slope(self) -> float:
        """Units per minute after the warm-up, by least squares."""
        return statistics.linear_regression(*zip(*self.after_warm_up(), strict=True)).slope

    def summary(self) -> str:
        series, start = [mib for _, mib in self.after_warm_up()], self.samples[0][0]
        thinned = self.samples[:: max(1, len(self.samples) // 12)]
        shown = " ".join(f"{minute - start:.0f}:{mib:.0f}" for minute, mib in thinned)
        return (
            f"{self.name}: {min(series):.0f} to {max(series):.0f} {self.unit} after warm-up,"
            f" slope {self.slope():+.3f} {self.unit}/min; minute:{self.unit} {shown}"
        )
