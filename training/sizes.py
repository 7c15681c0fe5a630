"""The dimensions of the micro family; `README.md` says why these."""

import math

from model_store.tiny.dims import Layer

LATENT_CHANNELS = 24
VAE_MULTIPLES = (1, 2, 2, 4, 8)
VAE_STRIDES = (4, 2, 4, 6, 10)
VAE_CHANNELS = 40
"""Of the decoder at 48 kHz."""

FSQ_LEVELS = (8, 5, 5, 5)
CODE_COUNT = math.prod(FSQ_LEVELS)

TEXT_ENCODER = Layer(hidden=128, ffn=320, heads=4, kv_heads=2, head_size=32)
TEXT_ENCODER_LAYERS = 2
DIT = Layer(hidden=192, ffn=448, heads=6, kv_heads=3, head_size=32)
DIT_LAYERS = 6
LYRIC_LAYERS = 1
TIMBRE_LAYERS = 1
POOLER_LAYERS = 1
LANGUAGE_MODEL = Layer(hidden=192, ffn=512, heads=6, kv_heads=3, head_size=32)
LANGUAGE_MODEL_LAYERS = 6
