"""The diffusion transformer with its condition encoder, audio tokenizer and detokenizer.

Names and shapes: spec dit.md 1.2 and 1.5.
"""

from pathlib import Path

import torch

from model_store.tiny import qwen3
from model_store.tiny.dims import (
    DIT,
    DIT_LAYERS,
    FSQ_LEVELS,
    LATENT_CHANNELS,
    LYRIC_LAYERS,
    PATCH_FRAMES,
    POOL_FRAMES,
    POOLER_LAYERS,
    SILENCE_FRAMES,
    TEXT_ENCODER,
    TIMBRE_LAYERS,
    TIME_FREQUENCIES,
)
from model_store.tiny.weights import Draw, Shapes, save, save_json

INPUTS = ("source", "mask", "noisy")
"""What is stacked along the channels of the DiT's input, each `LATENT_CHANNELS` wide."""


def build(folder: Path, seed: int, version: str) -> None:
    """`version` is `turbo` or `base`; they are different weights of the same shapes."""
    folder.mkdir(parents=True)
    save_json(folder / "config.json", config(version))
    draw = Draw(seed, version)
    save(folder / "model.safetensors", draw.network(_shapes()), torch.bfloat16)
    # Silence is one sound: every DiT of the release comes with the same file.
    silence = Draw(seed, "dit").normal("silence", (1, LATENT_CHANNELS, SILENCE_FRAMES), std=0.5)
    torch.save(silence.to(torch.bfloat16), folder / "silence_latent.pt")


def _shapes() -> Shapes:
    return (
        {"null_condition_emb": (1, 1, DIT.hidden)} | _decoder() | _encoder() | _tokenizer() | _detokenizer()
    )


def _decoder() -> Shapes:
    width = DIT.hidden
    shapes: Shapes = {
        "decoder.proj_in.1.weight": (width, len(INPUTS) * LATENT_CHANNELS, PATCH_FRAMES),
        "decoder.proj_in.1.bias": (width,),
        "decoder.proj_out.1.weight": (width, LATENT_CHANNELS, PATCH_FRAMES),
        "decoder.proj_out.1.bias": (LATENT_CHANNELS,),
        "decoder.norm_out.weight": (width,),
        "decoder.scale_shift_table": (1, 2, width),
        **_linear("decoder.condition_embedder", width, width),
    }
    for time in ("time_embed", "time_embed_r"):
        shapes |= _linear(f"decoder.{time}.linear_1", TIME_FREQUENCIES, width)
        shapes |= _linear(f"decoder.{time}.linear_2", width, width)
        shapes |= _linear(f"decoder.{time}.time_proj", width, 6 * width)
    for index in range(DIT_LAYERS):
        layer = f"decoder.layers.{index}"
        shapes |= qwen3.attention_shapes(f"{layer}.self_attn", DIT)
        shapes |= qwen3.attention_shapes(f"{layer}.cross_attn", DIT)
        shapes |= qwen3.mlp_shapes(f"{layer}.mlp", DIT)
        shapes |= {
            f"{layer}.{norm}.weight": (width,) for norm in ("self_attn_norm", "cross_attn_norm", "mlp_norm")
        }
        shapes[f"{layer}.scale_shift_table"] = (1, 6, width)
    return shapes


def _encoder() -> Shapes:
    return {
        "encoder.text_projector.weight": (DIT.hidden, TEXT_ENCODER.hidden),
        "encoder.timbre_encoder.special_token": (1, 1, DIT.hidden),
        **_linear("encoder.lyric_encoder.embed_tokens", TEXT_ENCODER.hidden, DIT.hidden),
        **qwen3.stack_shapes("encoder.lyric_encoder.", DIT, LYRIC_LAYERS),
        **_linear("encoder.timbre_encoder.embed_tokens", LATENT_CHANNELS, DIT.hidden),
        **qwen3.stack_shapes("encoder.timbre_encoder.", DIT, TIMBRE_LAYERS),
    }


def _tokenizer() -> Shapes:
    return {
        **_linear("tokenizer.audio_acoustic_proj", LATENT_CHANNELS, DIT.hidden),
        "tokenizer.attention_pooler.special_token": (1, 1, DIT.hidden),
        **_linear("tokenizer.attention_pooler.embed_tokens", DIT.hidden, DIT.hidden),
        **qwen3.stack_shapes("tokenizer.attention_pooler.", DIT, POOLER_LAYERS),
        **_linear("tokenizer.quantizer.project_in", DIT.hidden, len(FSQ_LEVELS)),
        **_linear("tokenizer.quantizer.project_out", len(FSQ_LEVELS), DIT.hidden),
    }


def _detokenizer() -> Shapes:
    return {
        "detokenizer.special_tokens": (1, POOL_FRAMES, DIT.hidden),
        **_linear("detokenizer.embed_tokens", DIT.hidden, DIT.hidden),
        **qwen3.stack_shapes("detokenizer.", DIT, POOLER_LAYERS),
        **_linear("detokenizer.proj_out", DIT.hidden, LATENT_CHANNELS),
    }


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def config(version: str) -> dict[str, object]:
    return {
        "architectures": ["AceStepConditionGenerationModel"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "audio_acoustic_hidden_dim": LATENT_CHANNELS,
        "data_proportion": 0.5,
        "dtype": "bfloat16",
        "fsq_dim": DIT.hidden,
        "fsq_input_levels": list(FSQ_LEVELS),
        "fsq_input_num_quantizers": 1,
        "head_dim": DIT.head_size,
        "hidden_act": "silu",
        "hidden_size": DIT.hidden,
        "in_channels": len(INPUTS) * LATENT_CHANNELS,
        "initializer_range": 0.02,
        "intermediate_size": DIT.ffn,
        "is_turbo": version == "turbo",
        "layer_types": [("sliding_attention", "full_attention")[index % 2] for index in range(DIT_LAYERS)],
        "max_position_embeddings": 32_768,
        "model_type": "acestep",
        "model_version": version,
        "num_attention_heads": DIT.heads,
        "num_attention_pooler_hidden_layers": POOLER_LAYERS,
        "num_audio_decoder_hidden_layers": 24,
        "num_hidden_layers": DIT_LAYERS,
        "num_key_value_heads": DIT.kv_heads,
        "num_lyric_encoder_hidden_layers": LYRIC_LAYERS,
        "num_timbre_encoder_hidden_layers": TIMBRE_LAYERS,
        "patch_size": PATCH_FRAMES,
        "pool_window_size": POOL_FRAMES,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "sliding_window": 128,
        "text_hidden_dim": TEXT_ENCODER.hidden,
        "timbre_fix_frame": 750,
        "timbre_hidden_dim": LATENT_CHANNELS,
        "timestep_mu": -0.4,
        "timestep_sigma": 1.0,
        "transformers_version": "4.57.0",
        "use_cache": True,
        "use_sliding_window": True,
        "vocab_size": 64_003,
    }
