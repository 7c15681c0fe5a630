"""What a song costs the gateway: processor time and bytes, by the song's length, as measured."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from acestep.client import Client, connect
from bench.faults.farm import GATEWAY, Farm, farm, request

LENGTHS_S = (10.0, 60.0)
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class GatewayCost:
    """Processor seconds of a song: so much for each, and so much for each of its seconds."""

    song_cpu_s: float
    second_cpu_s: float
    file_bytes_per_s: float
    """Of FLAC, per second of song. The stand-ins render noise, which is as large as it gets."""

    def cpu_s(self, song_s: float) -> float:
        return self.song_cpu_s + self.second_cpu_s * song_s


async def measured(first_port: int) -> GatewayCost:
    """Of songs from given codes, one at a time; the stages are stand-ins."""
    with tempfile.TemporaryDirectory() as folder:
        async with farm(Path(folder), first_port) as running, connect(running.address) as client:
            await _songs(running, client, LENGTHS_S[0], 1)
            costs = [await _songs(running, client, length_s, ROUNDS) for length_s in LENGTHS_S]
    cpu = [cpu_s for cpu_s, _ in costs]
    per_second = (cpu[1] - cpu[0]) / (LENGTHS_S[1] - LENGTHS_S[0])
    return GatewayCost(cpu[0] - per_second * LENGTHS_S[0], per_second, costs[1][1] / LENGTHS_S[1])


async def _songs(running: Farm, client: Client, song_s: float, count: int) -> tuple[float, float]:
    """Processor seconds and bytes of one song, on average."""
    process = psutil.Process(running.children[GATEWAY].pid)
    before, sizes = process.cpu_times(), []
    for seed in range(count):
        message = request(seed)
        message.ClearField("duration_seconds")
        message.audio_codes.extend([1] * int(5 * song_s))
        songs = await client.generate(message, 120.0)
        sizes.append(len(songs.files[0].data))
    after = process.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    return spent_s / count, float(np.mean(sizes))
