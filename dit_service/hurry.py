"""What is done to loaded networks so that a GPU computes them as fast as it can."""

import logging
import time
from dataclasses import replace

import torch

from dit_service.checkpoint import CheckpointError
from dit_service.codec.oobleck import Oobleck, can_take
from dit_service.network.attention import why_no_kernels
from dit_service.network.encoder_recordings import EncoderRecordings
from dit_service.network.recorder import Recorder
from dit_service.network.recordings import STEP, Recordings
from dit_service.networks import DitNetworks
from dit_service.text_encoder import MAX_LYRIC_TOKENS, MAX_TEXT_TOKENS, TextEncoder
from dit_service.vae import Vae

logger = logging.getLogger(__name__)

WARM_TOKENS = 3072
"""Songs of up to so many tokens, four minutes, are recorded at the start; others are when they come."""
LYRIC_LENGTHS = range(STEP, MAX_LYRIC_TOKENS + 1, STEP)
TEXT_LENGTHS = range(64, MAX_TEXT_TOKENS + 1, 64)
TILE_FRAMES = 1024
FIRST_TILE_FRAMES = 128


def refuse_without_kernels() -> None:
    """Raises `CheckpointError` where nothing can be compiled."""
    if (reason := why_no_kernels()) is not None:
        raise CheckpointError(
            f"networks cannot be compiled here ({reason}): kernels need Triton and a C compiler;"
            " with compile=false the service does without, and is several times slower"
        )


@torch.inference_mode()
def hurry(networks: DitNetworks, recorder: Recorder) -> None:
    """Compile transformer and lyric encoder, and record what they do for common lengths."""
    began, network = time.monotonic(), networks.transformer
    lyrics = networks.conditioner.lyric_encoder
    lyrics.hurried = EncoderRecordings(lyrics, LYRIC_LENGTHS, recorder)
    recordings = Recordings(network, recorder)
    recordings.warm(range(STEP, WARM_TOKENS + 1, STEP), guided=not networks.is_turbo)
    if not networks.is_turbo:  # some steps of a guided song are not, and some songs
        recordings.warm([STEP], guided=False)
    network.hurried = recordings
    logger.info("compiled %s in %.1f s", networks.revision.name, time.monotonic() - began)


@torch.inference_mode()
def hurry_texts(texts: TextEncoder, recorder: Recorder) -> None:
    """Compile the text encoder, and record it for all lengths that there are."""
    began = time.monotonic()
    texts.network.hurried = EncoderRecordings(texts.network, TEXT_LENGTHS, recorder)
    logger.info("compiled %s in %.1f s", texts.revision.name, time.monotonic() - began)


@torch.inference_mode()
def hurried(vae: Vae) -> Vae:
    """The codec with kernels of our own, where they do for it, and larger tiles."""
    if not can_take(vae.network):
        return vae
    began, coder = time.monotonic(), Oobleck(vae.network)
    swift = replace(
        vae,
        swift=coder,
        decode_tile_frames=TILE_FRAMES,
        first_tile_frames=FIRST_TILE_FRAMES,
        encode_tile_samples=TILE_FRAMES * vae.samples_per_frame,
    )
    # First what kernels are tuned by: the tiles that most of the time goes to.
    latents = torch.ones(TILE_FRAMES, vae.latent_channels, device=vae.device, dtype=vae.dtype)
    coder.encode(coder.decode(latents).to(vae.dtype))
    list(swift.decode(torch.ones(1, 2 * TILE_FRAMES, vae.latent_channels, device=vae.device)))
    logger.info("compiled %s in %.1f s", vae.revision.name, time.monotonic() - began)
    return swift
