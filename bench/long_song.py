"""What a long song takes of memory beyond its own size, from its job to its last message.

`python -m bench.long_song [seconds] [models folder] [model]`: renders a song of two minutes, then one
of so many seconds, streams their audio, and prints the process' peak of resident memory after each.
"""

import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from dit_service import delivery, heap, orders, wire
from dit_service.engine import Piece, Song
from dit_service.loudness import measure
from dit_service.torch_engine import TorchEngine
from tests.dit.golden import CHECKPOINTS, MODELS

MIB = 2**20


FIRST_S = 120.0
"""Long enough for whole tiles of the codec, whose memory both songs need, and for several of them."""


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rendered_mib(engine: TorchEngine, seconds: float) -> float:
    """Render, finish, measure and tell a song as the service does; its size."""
    metadata = music_pb2.SongMetadata(caption="slow piano", duration_seconds=seconds)
    message = dit_pb2.RenderJob(metadata=metadata, seed=7, stream_audio=True)
    order = orders.render_order(message, engine.models, engine.latent_channels)
    for event in engine.render(order.job):
        if isinstance(event, Piece):
            for live in delivery.live(event, order):
                live.SerializeToString()
        elif isinstance(event, Song):
            song = event
    delivery.finish_render(song, order)
    measure(song.waveform)
    for chunk in wire.audio(song.waveform):
        chunk.SerializeToString()
    return float(song.waveform.nbytes / MIB)


def compare(seconds: float, folder: Path, model: str) -> None:
    torch.set_num_threads(1)
    engine = TorchEngine.load(folder, (model,), "cpu")
    before = rendered_mib(engine, FIRST_S)
    print(
        f"after a song of {FIRST_S:g} s ({before:.0f} MiB): peak {(first := peak_mib()):.0f} MiB",
        flush=True,
    )
    size = rendered_mib(engine, seconds)
    print(f"after one of {seconds:g} s ({size:.0f} MiB): peak {(last := peak_mib()):.0f} MiB")
    print(f"beyond the difference of the two songs: {last - first - (size - before):.0f} MiB")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    heap.share()
    with ThreadPoolExecutor(1) as lane:  # a thread renders in the service too
        lane.submit(
            compare,
            float(given.get(0, 600)),
            Path(given.get(1, CHECKPOINTS)),
            given.get(2, MODELS["turbo"]),
        ).result()
