"""Write trained networks in the layout of the release."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from model_store.tiny import language_model as lm_layout
from model_store.tiny import qwen3
from model_store.tiny import tokenizer as tokenizer_layout
from model_store.tiny.weights import save_json
from training.networks import ROPE_THETA, SILENCE_FRAMES, Family, published, text_config, write_config
from training.sizes import LANGUAGE_MODEL, LANGUAGE_MODEL_LAYERS

TEXT_ENCODER = "Qwen3-Embedding-0.6B"
LANGUAGE_MODEL_NAME = "acestep-5Hz-lm-micro"
GUIDANCE = 1.0
"""Of the language model's codes: guided, so small a model may stay on one chord."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    stored = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in tensors.items()
    }
    save_file(stored, path, metadata={"format": "pt"})


def dit(family: Family, folder: Path, version: str) -> None:
    write_config(folder, version)
    save_tensors(folder / "model.safetensors", published(family))
    silence = family.silence.detach().to("cpu", torch.bfloat16)
    # One frame stands for all: the file stores it once, and the tensor still reads as the full length.
    torch.save(silence[None, :, None].expand(1, -1, SILENCE_FRAMES), folder / "silence_latent.pt")


def text_encoder(family: Family, folder: Path, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_layout.save(tokenizer, folder, padding_side="left")
    end = tokenizer.token_to_id(tokenizer_layout.END_OF_TEXT)
    config = text_config(tokenizer.get_vocab_size()) | {"bos_token_id": end, "eos_token_id": end}
    save_json(folder / "config.json", config)
    save_tensors(folder / "model.safetensors", family.text.state_dict())


def language_model(tensors: Mapping[str, Tensor], folder: Path, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_layout.save(tokenizer, folder, padding_side="right")
    (folder / "chat_template.jinja").write_text(lm_layout.CHAT_TEMPLATE)
    save_json(folder / "config.json", lm_config(tokenizer))
    save_json(folder / "generation_config.json", {"guidance_scale": GUIDANCE})
    save_tensors(folder / "model.safetensors", tensors)


def lm_config(tokenizer: Tokenizer) -> dict[str, object]:
    size = tokenizer.get_vocab_size()
    return qwen3.config(LANGUAGE_MODEL, LANGUAGE_MODEL_LAYERS, size, lm_layout.MAX_POSITIONS) | {
        "rope_theta": ROPE_THETA,
        "bos_token_id": tokenizer.token_to_id(tokenizer_layout.END_OF_TEXT),
        "eos_token_id": tokenizer.token_to_id(tokenizer_layout.END_OF_TURN),
        "pad_token_id": tokenizer.token_to_id(tokenizer_layout.END_OF_TEXT),
    }


def load_family(models: Path, version: str, vocabulary: int) -> Family:
    """A family to go on with, from `models`, as `dit` and `text_encoder` wrote it."""
    folder = models / f"acestep-v15-{version}"
    family = Family(folder, vocabulary)
    tensors = load_file(folder / "model.safetensors")
    filled = {name: target for name, target in published(family).items()}
    if set(filled) != set(tensors):
        raise ValueError(f"{folder} does not hold a family of these sizes")
    for name, target in filled.items():
        target.copy_(tensors[name].float())
    text = load_file(models / TEXT_ENCODER / "model.safetensors")
    family.text.load_state_dict({name: tensor.float() for name, tensor in text.items()})
    silence = torch.load(folder / "silence_latent.pt", weights_only=True)
    family.silence.copy_(silence[0, :, 0].float())
    return family
