"""Random weights of the released 2B dimensions in the published layout, for benches on a GPU."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file
from torch import nn
from transformers import Qwen3Config, Qwen3Model

from bench.dit_networks import RELEASED, peer_network, published
from common.revision import REVISION_FILE
from dit_service.checkpoint import Config, published_name
from dit_service.networks import encoders
from model_store.tiny import dit as tiny_dit
from model_store.tiny import tokenizer as tiny_tokenizer

TURBO, BASE = "acestep-v15-turbo", "acestep-v15-base"
VAE = {
    "encoder_hidden_size": 128,
    "decoder_channels": 128,
    "decoder_input_channels": 64,
    "downsampling_ratios": [2, 4, 4, 6, 10],
    "channel_multiples": [1, 2, 4, 8, 16],
    "audio_channels": 2,
    "sampling_rate": 48_000,
}
"""Source: spec dit.md 1.2."""
SILENCE_FRAMES = 15_000
KIND = torch.bfloat16


def write(folder: Path, device: torch.device) -> None:
    """Both DiTs, of the same weights, and what they share."""
    torch.manual_seed(0)
    _write_dit(folder, device)
    with device:
        AutoencoderOobleck(**VAE).to(torch.float32).save_pretrained(folder / "vae")
    text = folder / "Qwen3-Embedding-0.6B"
    sizes = {
        "vocab_size": 151_669,
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "rope_theta": 1e6,
    }
    with device:
        Qwen3Model(Qwen3Config(**sizes)).to(KIND).save_pretrained(text)
    tiny_tokenizer.save(tiny_tokenizer.for_text_encoder(), text, padding_side="left")
    for name in (TURBO, BASE, "vae", text.name):
        (folder / name / REVISION_FILE).write_text("random\n")  # as those have that were fetched


def _write_dit(folder: Path, device: torch.device) -> None:
    values = _values()
    tensors = published(peer_network(RELEASED, device, KIND))
    with device:
        modules: tuple[nn.Module, ...] = encoders(Config(folder, values))
    for prefix, module in zip(("encoder.", "tokenizer.", "detokenizer."), modules, strict=True):
        for name, tensor in module.state_dict().items():
            tensors[published_name(f"{prefix}{name}")] = tensor.to(KIND)
    del tensors["encoder.silence_latent"]
    for name in (TURBO, BASE):
        (folder / name).mkdir(parents=True)
        values["is_turbo"] = name == TURBO
        (folder / name / "config.json").write_text(json.dumps(values))
        torch.save(
            torch.randn(1, RELEASED.channels, SILENCE_FRAMES).to(KIND), folder / name / "silence_latent.pt"
        )
    stored = {name: value.contiguous().cpu() for name, value in tensors.items()}
    save_file(stored, folder / TURBO / "model.safetensors")
    (folder / BASE / "model.safetensors").symlink_to(folder.resolve() / TURBO / "model.safetensors")


def _values() -> dict[str, object]:
    """The tiny family's configuration with the released dimensions."""
    layers = len(RELEASED.sliding)
    return tiny_dit.config("turbo") | {
        "hidden_size": RELEASED.hidden,
        "intermediate_size": RELEASED.feed_forward,
        "num_attention_heads": RELEASED.heads,
        "num_key_value_heads": RELEASED.key_heads,
        "head_dim": RELEASED.head_width,
        "num_hidden_layers": layers,
        "layer_types": [("sliding_attention", "full_attention")[layer % 2] for layer in range(layers)],
        "in_channels": RELEASED.frame_width,
        "audio_acoustic_hidden_dim": RELEASED.channels,
        "timbre_hidden_dim": RELEASED.channels,
        "text_hidden_dim": 1024,
        "fsq_dim": RELEASED.hidden,
        "fsq_input_levels": [8, 8, 8, 5, 5, 5],
        "num_lyric_encoder_hidden_layers": 8,
        "num_timbre_encoder_hidden_layers": 4,
        "num_attention_pooler_hidden_layers": 2,
        "sliding_window": RELEASED.window,
    }
