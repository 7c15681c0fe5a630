"""How much of a device's memory a song takes, told before it begins.

A song holds latents and what it hears of its condition from its first step to its last, and while
a pass runs the activations of its tokens. What a tile of the codec takes does not grow with the
number of songs: it is set aside once.
"""

from common.errors import AceError, Kind
from dit_service.engine import RenderJob
from dit_service.network.sizes import Sizes
from dit_service.steering import working_frames
from dit_service.text_encoder import MAX_LYRIC_TOKENS, MAX_TEXT_TOKENS

FLOAT_BYTES = 4
LATENT_COPIES = 16
"""Tensors of a song's latents at once, in float32: guidance computes in float64."""
WIDE_ACTIVATIONS = 3
"""Tensors as wide as the feed-forward at once: gate, up, and their product."""
HIDDEN_ACTIVATIONS = 12
"""Tensors as wide as the hidden state at once, six of them what a step's time does to a token."""
QUERY_ACTIVATIONS = 6
"""Tensors as wide as all heads at once; turning them takes float32."""
CODEC_ACTIVATIONS = 10
"""Tensors as wide as the codec's widest at once, in a tile."""


def song_bytes(job: RenderJob, sizes: Sizes, element_bytes: int) -> int:
    """An upper estimate for rendering `job`."""
    frames = working_frames(job)
    rows = 2 if job.diffusion.guidance_scale > 1 else 1
    tokens = rows * -(-frames // sizes.patch)
    width = (
        WIDE_ACTIVATIONS * sizes.feed_forward
        + HIDDEN_ACTIVATIONS * sizes.hidden
        + QUERY_ACTIVATIONS * sizes.query_width
    )
    heard = 2 * len(sizes.sliding) * sizes.key_width + 2 * sizes.condition_width
    latents = LATENT_COPIES * frames * sizes.channels * FLOAT_BYTES
    # What is heard is there twice while a pass runs: it is joined with what the others hear.
    return latents + element_bytes * (tokens * width + 2 * _condition_tokens(job) * heard)


def tile_bytes(samples: int, channels: int, element_bytes: int) -> int:
    """An upper estimate for a tile of so many samples in a codec of so many channels."""
    return CODEC_ACTIVATIONS * samples * channels * element_bytes


def share(needed: int, available: int) -> float:
    """Raises `AceError` (PRECONDITION) for a song that will never fit, even alone."""
    if needed > available:
        raise AceError(
            Kind.PRECONDITION,
            "SONG_TOO_LARGE",
            f"the song needs about {needed / 2**20:.0f} MiB of device memory;"
            f" {available / 2**20:.0f} MiB are there for songs: ask for a shorter one",
            field="duration_seconds",
            needed_bytes=needed,
            available_bytes=available,
        )
    return needed / available


def _condition_tokens(job: RenderJob) -> int:
    """At most: a token is a byte or more, and one is the timbre."""
    lyrics = len(job.lyrics.encode()) + 64
    return MAX_TEXT_TOKENS + min(MAX_LYRIC_TOKENS, lyrics) + 1
