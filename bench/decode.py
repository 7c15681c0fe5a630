"""What decoding sound costs, beside diffusers' Oobleck with the same weights in the same run.

    python -m bench.decode                  the tiny codec, float32, one thread of a CPU
    python -m bench.decode --device cuda    the released dimensions, bfloat16; needs a machine of its own

Random weights. diffusers decodes a song in one piece, as its pipeline does by default; ours goes tile by
tile, so that a song is heard from its first tile and needs one tile's memory. The frames that overlap are
computed twice: "kept" is the share of what is computed that is not. Times on a CPU are the processor's.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck

from common.revision import Revision
from dit_service.networks import load_vae
from dit_service.vae import Vae
from model_store.tiny import vae as tiny_vae

FRAMES_PER_S = 25
LENGTHS_S = {"cpu": (10, 30, 60), "cuda": (30, 120, 240)}
RELEASED = {"encoder_hidden_size": 128, "decoder_channels": 128, "decoder_input_channels": 64}


def codecs(device: torch.device) -> tuple[Vae, AutoencoderOobleck]:
    """Ours, weight normalisation folded, and diffusers' as it loads it."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "vae")
        if device.type == "cuda":
            AutoencoderOobleck(**RELEASED).save_pretrained(folder)
        else:
            tiny_vae.build(folder, seed=0)
        peer = AutoencoderOobleck.from_pretrained(folder).to(device, dtype).eval()
        return Vae(Revision("vae", "random"), load_vae(folder, device, dtype)), peer


class Bench:
    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device = device
        self.repeats = repeats
        self.ours, self.peer = codecs(device)

    def ms(self, work: Callable[[], object]) -> float:
        """Median over runs, the first of which is not counted."""
        clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        spent = []
        for run in range(self.repeats + 1):
            start = clock()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            if run:
                spent.append(1e3 * (clock() - start))
        return statistics.median(spent)

    def row(self, seconds: int) -> str:
        frames = seconds * FRAMES_PER_S
        latents = torch.randn(1, frames, self.ours.latent_channels, device=self.device)
        channels_first = latents.transpose(1, 2).to(self.peer.dtype)
        peer_ms = self.ms(lambda: self.peer.decode(channels_first).sample.float().cpu())
        ours_ms = self.ms(lambda: list(self.ours.decode(latents)))
        first_ms = self.ms(lambda: next(self.ours.decode(latents)))
        tiles = self.ours.decode_tiles(frames)
        computed = sum(tile.window.stop - tile.window.start for tile in tiles)
        cells = [f"{peer_ms:.0f}", f"{ours_ms:.0f}", f"{peer_ms / ours_ms:.2f}", f"{frames / computed:.2f}"]
        return f"| {seconds} s | {len(tiles)} | " + " | ".join([*cells, f"{first_ms:.0f}"]) + " |"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    bench = Bench(torch.device(given.device), given.repeats)
    print("| song | tiles | diffusers, ms | ours, ms | times as fast | kept | first tile, ms |")
    print("| --- " + "| ---: " * 6 + "|")
    for seconds in LENGTHS_S[given.device]:
        print(bench.row(seconds), flush=True)


if __name__ == "__main__":
    main()
