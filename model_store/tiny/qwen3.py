"""What the networks of the family share: the Qwen3 layer, and Qwen3's `config.json`."""

from model_store.tiny.dims import Layer
from model_store.tiny.weights import Shapes


def attention_shapes(prefix: str, layer: Layer) -> Shapes:
    queries, keys = layer.heads * layer.head_size, layer.kv_heads * layer.head_size
    return {
        f"{prefix}.q_proj.weight": (queries, layer.hidden),
        f"{prefix}.k_proj.weight": (keys, layer.hidden),
        f"{prefix}.v_proj.weight": (keys, layer.hidden),
        f"{prefix}.o_proj.weight": (layer.hidden, queries),
        f"{prefix}.q_norm.weight": (layer.head_size,),
        f"{prefix}.k_norm.weight": (layer.head_size,),
    }


def mlp_shapes(prefix: str, layer: Layer) -> Shapes:
    return {
        f"{prefix}.gate_proj.weight": (layer.ffn, layer.hidden),
        f"{prefix}.up_proj.weight": (layer.ffn, layer.hidden),
        f"{prefix}.down_proj.weight": (layer.hidden, layer.ffn),
    }


def stack_shapes(prefix: str, layer: Layer, count: int) -> Shapes:
    """`count` layers named `{prefix}layers.0` and up, and the norm after them."""
    shapes: Shapes = {f"{prefix}norm.weight": (layer.hidden,)}
    for index in range(count):
        name = f"{prefix}layers.{index}"
        shapes |= attention_shapes(f"{name}.self_attn", layer)
        shapes |= mlp_shapes(f"{name}.mlp", layer)
        shapes[f"{name}.input_layernorm.weight"] = (layer.hidden,)
        shapes[f"{name}.post_attention_layernorm.weight"] = (layer.hidden,)
    return shapes


def config(layer: Layer, count: int, vocabulary: int, positions: int) -> dict[str, object]:
    """The fields that both Qwen3 checkpoints of the release have.

    Both say `Qwen3Model`: the weights are stored without an output head, and their names
    without the leading `model.` that `Qwen3ForCausalLM` would give them.
    """
    return {
        "architectures": ["Qwen3Model"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "dtype": "bfloat16",
        "head_dim": layer.head_size,
        "hidden_act": "silu",
        "hidden_size": layer.hidden,
        "initializer_range": 0.02,
        "intermediate_size": layer.ffn,
        "layer_types": ["full_attention"] * count,
        "max_position_embeddings": positions,
        "max_window_layers": count,
        "model_type": "qwen3",
        "num_attention_heads": layer.heads,
        "num_hidden_layers": count,
        "num_key_value_heads": layer.kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "transformers_version": "4.57.0",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": vocabulary,
    }
