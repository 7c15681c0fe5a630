"""How fast a cancelled song frees both engines, against a running system.

    python -m bench.cancellation --address localhost:50050 --metrics-port-base 9050 --rounds 5

Idle means that the engines' own gauges say so: no request in vLLM, no work on the DiT's device.
The diffusion stops between steps, so its figure is up to the time of one step.
"""

import argparse
import asyncio
import statistics
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from acestep.client import Client, connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2

GAUGES = {
    1: ("acestep_lm_requests_running", "acestep_lm_engine_unfinished_requests"),
    2: ("acestep_dit_renders_running", "acestep_dit_device_busy"),
}
POLL_S = 0.01


def long_song(seconds: float, thinking: bool) -> pb.GenerateMusicRequest:
    return pb.GenerateMusicRequest(
        caption="a very long song",
        bpm=100,
        keyscale="C major",
        timesignature="4",
        duration_seconds=seconds,
        lm=pb.LmParams(thinking=thinking),
        diffusion=music_pb2.DiffusionParams(inference_steps=20),
    )


def busy(metrics_port_base: int) -> bool:
    for offset, names in GAUGES.items():
        url = f"http://localhost:{metrics_port_base + offset}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        if any(s.value for family in families for s in family.samples if s.name in names):
            return True
    return False


async def seconds_to_idle(
    client: Client, request: pb.GenerateMusicRequest, phase: pb.Phase, metrics_port_base: int
) -> float:
    events = client.generate(request)
    async for event in events:
        if event.HasField("progress") and event.progress.phase == phase:
            break
    assert busy(metrics_port_base), "nothing was running: the gauges prove nothing"
    started = time.monotonic()
    await events.aclose()
    while busy(metrics_port_base):
        await asyncio.sleep(POLL_S)
    return time.monotonic() - started


async def main(address: str, metrics_port_base: int, rounds: int) -> None:
    print("| cancelled while | song | median | worst | rounds |")
    print("| --- | --- | --- | --- | --- |")
    async with connect(address) as client:
        for name, song_s, phase in (
            ("codes are written", 600.0, pb.PHASE_CODES),
            ("the diffusion runs", 240.0, pb.PHASE_DIFFUSION),
        ):
            request = long_song(song_s, thinking=phase == pb.PHASE_CODES)
            seconds = [
                await seconds_to_idle(client, request, phase, metrics_port_base) for _ in range(rounds)
            ]
            median, worst = statistics.median(seconds), max(seconds)
            print(f"| {name} | {song_s:g} s | {median:.2f} s | {worst:.2f} s | {rounds} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="localhost:50050")
    parser.add_argument("--metrics-port-base", type=int, default=9050)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(main(options.address, options.metrics_port_base, options.rounds))
