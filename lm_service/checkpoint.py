"""Find the language model in the models folder, and make sure that it is whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open

from common.lm_sampling import MAX_CFG_SCALE, MIN_CFG_SCALE

PREFIX = "acestep-5Hz-lm-"
PREFERRED = "acestep-5Hz-lm-1.7B"

LAYER_TENSORS = (
    *(f"self_attn.{name}.weight" for name in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")),
    *(f"mlp.{name}.weight" for name in ("gate_proj", "up_proj", "down_proj")),
    *("input_layernorm.weight", "post_attention_layernorm.weight"),
)
"""The tensors of a layer of Qwen3. Source: spec lm.md 1.1."""


def choose(models: Path, name: str | None) -> Path:
    """The checkpoint called `name`, or the preferred one that is there, or the first by name.

    Raises `FileNotFoundError`.
    """
    if name is not None:
        if not (models / name / "config.json").is_file():
            raise FileNotFoundError(f"{models / name} holds no model (no config.json)")
        return models / name
    found = sorted(path.parent for path in models.glob(f"{PREFIX}*/config.json"))
    if not found:
        raise FileNotFoundError(f"{models} holds no {PREFIX}* model")
    preferred = models / PREFERRED
    return preferred if preferred in found else found[0]


def verify(checkpoint: Path) -> None:
    """Raises `ValueError`, naming a tensor, if one is missing or unexpected.

    Needed because vLLM merges tensors: it does not notice that one of the merged is missing.
    Names may have a leading `model.`, all or none.
    """
    config = json.loads((checkpoint / "config.json").read_text())
    names = [name.removeprefix("model.") for name in _tensor_names(checkpoint)]
    expected = set(_expected(config))
    if missing := sorted(expected - set(names)):
        raise ValueError(f"{checkpoint.name} lacks the tensor {missing[0]} ({len(missing)} in all)")
    if unexpected := sorted(set(names) - expected):
        raise ValueError(
            f"{checkpoint.name} has an unexpected tensor {unexpected[0]} ({len(unexpected)} in all)"
        )


def verify_vocabulary(checkpoint: Path, token_count: int) -> None:
    """Raises `ValueError` if the tokenizer has ids that the network has not: they would end the engine."""
    config = json.loads((checkpoint / "config.json").read_text())
    known = config["vocab_size"]
    if token_count > known:
        raise ValueError(
            f"{checkpoint.name} has a tokenizer of {token_count} tokens for a network of {known}"
        )


def recommended_cfg_scale(checkpoint: Path) -> float | None:
    """The guidance of codes that the model asks for; None if it asks for none.

    It is `guidance_scale` in its `generation_config.json`, the name that transformers knows it by.
    Raises `ValueError` for a value that no request may have.
    """
    path = checkpoint / "generation_config.json"
    scale = json.loads(path.read_text()).get("guidance_scale") if path.is_file() else None
    if scale is None:
        return None
    if not isinstance(scale, int | float) or not MIN_CFG_SCALE <= scale <= MAX_CFG_SCALE:
        raise ValueError(
            f"{path}: guidance_scale must be within [{MIN_CFG_SCALE:g}, {MAX_CFG_SCALE:g}], not {scale!r}"
        )
    return float(scale)


def _tensor_names(checkpoint: Path) -> Iterator[str]:
    for path in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            yield from file.keys()


def _expected(config: dict[str, Any]) -> Iterator[str]:
    yield from ("embed_tokens.weight", "norm.weight")
    if not config.get("tie_word_embeddings", False):
        yield "lm_head.weight"
    for layer in range(config["num_hidden_layers"]):
        yield from (f"layers.{layer}.{name}" for name in LAYER_TENSORS)
