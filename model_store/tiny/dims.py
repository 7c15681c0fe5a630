"""The dimensions of the tiny family. Everything else is as in the released checkpoints."""

import math
from dataclasses import dataclass

LATENT_CHANNELS = 8
FSQ_LEVELS = (8, 5, 5, 5)
"""Steps of the code book's axes, written to the DiT's config as `fsq_input_levels`."""

CODE_COUNT = math.prod(FSQ_LEVELS)
CODE_TOKEN_COUNT = 1024
"""More tokens than codes, as in the release (65 535 tokens for 64 000 codes)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Widths of one Qwen3 layer. `hidden` may differ from `heads * head_size`."""

    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_size: int


LANGUAGE_MODEL = Layer(hidden=64, ffn=128, heads=4, kv_heads=2, head_size=32)
LANGUAGE_MODEL_LAYERS = 2
TEXT_ENCODER = Layer(hidden=32, ffn=48, heads=2, kv_heads=1, head_size=16)
TEXT_ENCODER_LAYERS = 2
DIT = Layer(hidden=64, ffn=96, heads=4, kv_heads=2, head_size=16)
DIT_LAYERS = 4
LYRIC_LAYERS = 2
TIMBRE_LAYERS = 2
POOLER_LAYERS = 2
TIME_FREQUENCIES = 256
PATCH_FRAMES = 2
POOL_FRAMES = 5
SILENCE_FRAMES = 15_000
VAE_CHANNELS = 4
VAE_MULTIPLES = (1, 1, 1, 2, 2)
VAE_STRIDES = (2, 4, 4, 6, 10)
