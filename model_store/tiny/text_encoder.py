"""The text encoder, in the layout of Qwen3-Embedding-0.6B."""

from pathlib import Path

import torch

from model_store.tiny import qwen3, tokenizer
from model_store.tiny.dims import TEXT_ENCODER, TEXT_ENCODER_LAYERS
from model_store.tiny.weights import Draw, save, save_json

MAX_POSITIONS = 32_768


def build(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    vocabulary = tokenizer.for_text_encoder()
    tokenizer.save(vocabulary, folder, padding_side="left")
    size = vocabulary.get_vocab_size()
    config = qwen3.config(TEXT_ENCODER, TEXT_ENCODER_LAYERS, size, MAX_POSITIONS) | {
        "bos_token_id": vocabulary.token_to_id(tokenizer.END_OF_TEXT),
        "eos_token_id": vocabulary.token_to_id(tokenizer.END_OF_TEXT),
    }
    save_json(folder / "config.json", config)
    draw = Draw(seed, "text")
    tensors = draw.network(qwen3.stack_shapes("", TEXT_ENCODER, TEXT_ENCODER_LAYERS))
    tensors["embed_tokens.weight"] = draw.normal(
        "embed_tokens.weight", (size, TEXT_ENCODER.hidden), std=1.0
    )
    save(folder / "model.safetensors", tensors, torch.bfloat16)
