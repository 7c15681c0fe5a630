"""A language model of random weights with the released tokenizer's layout, for measurements.

Ids are the release's: pieces below 151,643, marks, then 65,535 audio codes up to 217,203. The pieces
mean nothing. Scores get a spread of about 3, so that top-p keeps hundreds of tokens, not all of them.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor

PIECE_COUNT = 151_643
MARKS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *(f"<|unused_{place}|>" for place in range(21)),
    *("<think>", "</think>"),
)
CODE_TOKEN_COUNT = 65_535
VOCABULARY = PIECE_COUNT + len(MARKS) + CODE_TOKEN_COUNT
SPREAD = 3.0


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a Qwen3 network."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    feed_forward: int
    dtype: torch.dtype

    @property
    def cache_bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head * self.dtype.itemsize


RELEASED = Size("0.6B", 1024, 28, 16, 8, 128, 3072, torch.bfloat16)
"""Source: spec lm.md 1.1."""

SMALL = Size("2 layers of 64", 64, 2, 2, 1, 32, 128, torch.float32)


def write(folder: Path, size: Size) -> int:
    """Write config, tokenizer and weights; returns the bytes of the weights."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head,
        "hidden_act": "silu",
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 40_960,
        "rope_theta": 1_000_000,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "eos_token_id": PIECE_COUNT + MARKS.index("<|im_end|>"),
        "torch_dtype": str(size.dtype).removeprefix("torch."),
    }
    (folder / "config.json").write_text(json.dumps(config))
    _tokenizer().save(str(folder / "tokenizer.json"))
    tensors = _weights(size)
    save_file(tensors, folder / "model.safetensors")
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _tokenizer() -> Tokenizer:
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces += [f"q{place}" for place in range(PIECE_COUNT - len(pieces))]
    tokenizer = Tokenizer(BPE(vocab={piece: place for place, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    codes = (f"<|audio_code_{code}|>" for code in range(CODE_TOKEN_COUNT))
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in (*MARKS, *codes)])
    return tokenizer


def _weights(size: Size) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def matrix(rows: int, columns: int, spread: float) -> Tensor:
        return (torch.randn(rows, columns, generator=generator) * spread).to(size.dtype)

    def ones(width: int, value: float = 1.0) -> Tensor:
        return torch.full((width,), value, dtype=size.dtype)

    query, key = size.heads * size.head, size.kv_heads * size.head
    shapes = {
        "self_attn.q_proj": (query, size.hidden),
        "self_attn.k_proj": (key, size.hidden),
        "self_attn.v_proj": (key, size.hidden),
        "self_attn.o_proj": (size.hidden, query),
        "mlp.gate_proj": (size.feed_forward, size.hidden),
        "mlp.up_proj": (size.feed_forward, size.hidden),
        "mlp.down_proj": (size.hidden, size.feed_forward),
    }
    tensors = {"embed_tokens.weight": matrix(VOCABULARY, size.hidden, 1 / math.sqrt(size.hidden))}
    for layer in range(size.layers):
        for name, (rows, columns) in shapes.items():
            tensors[f"layers.{layer}.{name}.weight"] = matrix(rows, columns, 1 / math.sqrt(columns))
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"layers.{layer}.{name}.weight"] = ones(size.hidden)
        for name in ("q_norm", "k_norm"):
            tensors[f"layers.{layer}.self_attn.{name}.weight"] = ones(size.head)
    tensors["norm.weight"] = ones(size.hidden, SPREAD)
    return {f"model.{name}": tensor for name, tensor in tensors.items()}
