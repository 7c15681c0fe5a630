"""How songs leave the services: from decoded sound to an encoded file, several at once.

    python -m bench.delivery --songs 1 8 --seconds 240

The diffusion service's delivery in one process, the gateway's encoding in another, gRPC between them as it
is for users, noise for songs and nothing else running. Processor time is that of a song.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection

import grpc
import numpy as np
import psutil

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.music.v1 import music_pb2
from common.music import CHANNELS, SAMPLE_RATE_HZ
from common.server import SERVER_OPTIONS, serving
from dit_service import delivery, wire
from dit_service.engine import Song, Waveform
from dit_service.finish import Finish
from gateway.encoding import FORMATS, SongFile

SERVICE = dit_pb2.DESCRIPTOR.services_by_name["DitService"].full_name


def noise(seconds: float) -> Waveform:
    """Of music's kind for an encoder: the low is louder than the high."""
    draw = np.random.default_rng(0).standard_normal((round(seconds * SAMPLE_RATE_HZ), CHANNELS), np.float32)
    for _ in range(2):
        draw[1:] += draw[:-1]
    return draw / np.float32(8)


class Deliverer(dit_rpc.DitServiceServicer):
    """Sends copies of one song, as a render does once it is decoded."""

    def __init__(self, waveform: Waveform) -> None:
        self._waveform = waveform

    async def Decode(
        self, request: dit_pb2.DecodeRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[dit_pb2.DecodeResponse]:
        song = Song(self._waveform.copy(), np.zeros((0, 64), np.float32), {})
        done = await asyncio.to_thread(delivery.finish_song, song, Finish())
        async with delivery.measuring(song) as loudness:
            for chunk in wire.audio(song.waveform):
                yield dit_pb2.DecodeResponse(audio=chunk)
            yield wire.decoded(song, done, await loudness)


def deliver(seconds: float, port: Connection) -> None:
    """The diffusion service's side, in a process of its own."""

    async def serve() -> None:
        deliverer = Deliverer(noise(seconds))

        def register(server: grpc.aio.Server) -> None:
            dit_rpc.add_DitServiceServicer_to_server(deliverer, server)

        async with serving("localhost:0", register, (SERVICE,)) as server:
            port.send(server.port)
            await asyncio.to_thread(port.recv)

    asyncio.run(serve())


async def song(dit: dit_rpc.DitServiceStub) -> tuple[float, float]:
    """Seconds until the file is there, and of them in the encoder."""
    start, file = time.monotonic(), SongFile(FORMATS[music_pb2.AUDIO_FORMAT_FLAC], 0)
    try:
        async for message in dit.Decode(dit_pb2.DecodeRequest()):
            if message.HasField("audio"):
                await file.write(message.audio.samples)
        await file.finish()
    finally:
        file.discard()
    return time.monotonic() - start, file.busy_s


async def at_once(count: int, port: int, deliverer: psutil.Process) -> str:
    """A row of the table."""
    async with grpc.aio.insecure_channel(f"localhost:{port}", SERVER_OPTIONS) as channel:
        dit = dit_rpc.DitServiceStub(channel)
        await song(dit)
        both = (deliverer, psutil.Process())
        before, start = [sum(process.cpu_times()[:2]) for process in both], time.monotonic()
        took = await asyncio.gather(*(song(dit) for _ in range(count)))
        all_s = time.monotonic() - start
        spent = [sum(process.cpu_times()[:2]) - then for process, then in zip(both, before, strict=True)]
    middles = (statistics.median(seconds) for seconds in zip(*took, strict=True))
    cells = (all_s / count, *(seconds / count for seconds in spent), *middles)
    return f"| {count} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


async def main(counts: list[int], seconds: float) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=deliver, args=(seconds, theirs), daemon=True)
    child.start()
    theirs.close()  # so that a child that ends early is noticed
    port = ours.recv()
    print(
        "| songs at once | a song every, s | diffusion's processor time, s | gateway's, s"
        " | a song took, s | FLAC, s |"
    )
    print("| ---: " * 6 + "|")
    for count in counts:
        print(await at_once(count, port, psutil.Process(child.pid)), flush=True)
    ours.send(None)
    child.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--songs", type=int, nargs="+", default=[1, 4, 16], help="at once")
    parser.add_argument("--seconds", type=float, default=240.0, help="a song's length")
    options = parser.parse_args()
    asyncio.run(main(options.songs, options.seconds))
