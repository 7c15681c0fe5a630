"""Published weights in the form that this transformer computes with.

Weights that read the same input become one matrix, and the convolutions over patches, which do not
overlap, become matrices over whole patches. Nothing is rounded.
Source: spec dit.md 1.5 (published names) and 1.6 (patches).
"""

import torch
from torch import Tensor

from dit_service.checkpoint import CheckpointError
from dit_service.network.sizes import LayerSizes, Sizes

Tensors = dict[str, Tensor]


def join(tensors: Tensors, sizes: Sizes) -> None:
    """Replace the transformer's published tensors among `tensors` by those of our modules.

    Raises `CheckpointError` for one that is missing or does not fit `sizes`.
    """
    query, key = (sizes.query_width, sizes.hidden), (sizes.key_width, sizes.hidden)
    for layer in range(len(sizes.sliding)):
        at = f"decoder.layers.{layer}"
        join_layer(tensors, at, sizes)
        _join(tensors, f"{at}.cross_attn", "query", {"q_proj": query}, sizes.attention_bias)
        _join(
            tensors, f"{at}.cross_attn", "key_value", {"k_proj": key, "v_proj": key}, sizes.attention_bias
        )
    _unroll(tensors, sizes)


def join_layer(tensors: Tensors, at: str, sizes: LayerSizes) -> None:
    """Those of self-attention and feed-forward, which all transformers' layers have, named `at...`."""
    query, key = (sizes.query_width, sizes.hidden), (sizes.key_width, sizes.hidden)
    wide = (sizes.feed_forward, sizes.hidden)
    self_attention = {"q_proj": query, "k_proj": key, "v_proj": key}
    _join(tensors, f"{at}.self_attn", "qkv", self_attention, sizes.attention_bias)
    _join(tensors, f"{at}.mlp", "gate_up", {"gate_proj": wide, "up_proj": wide}, False)


def _join(tensors: Tensors, at: str, ours: str, parts: dict[str, tuple[int, int]], has_bias: bool) -> None:
    weights = [_taken(tensors, f"{at}.{name}.weight", shape) for name, shape in parts.items()]
    tensors[f"{at}.{ours}.weight"] = torch.cat(weights)
    if has_bias:
        biases = [_taken(tensors, f"{at}.{name}.bias", shape[:1]) for name, shape in parts.items()]
        tensors[f"{at}.{ours}.bias"] = torch.cat(biases)


def _unroll(tensors: Tensors, sizes: Sizes) -> None:
    """From convolutions, whose kernels are as long as their stride, to matrices over a patch."""
    hidden, patch = sizes.hidden, sizes.patch
    inwards = _taken(tensors, "decoder.proj_in.1.weight", (hidden, sizes.frame_width, patch))
    tensors["decoder.proj_in.weight"] = inwards.transpose(1, 2).flatten(1).contiguous()
    tensors["decoder.proj_in.bias"] = _taken(tensors, "decoder.proj_in.1.bias", (hidden,))
    outwards = _taken(tensors, "decoder.proj_out.1.weight", (hidden, sizes.channels, patch))
    tensors["decoder.proj_out.weight"] = outwards.permute(2, 1, 0).flatten(0, 1).contiguous()
    bias = _taken(tensors, "decoder.proj_out.1.bias", (sizes.channels,))
    tensors["decoder.proj_out.bias"] = bias.repeat(patch)


def _taken(tensors: Tensors, name: str, shape: tuple[int, ...]) -> Tensor:
    if name not in tensors:
        raise CheckpointError(f"tensor {name} is missing")
    tensor = tensors.pop(name)
    if tensor.shape != shape:
        raise CheckpointError(
            f"tensor {name} is {list(tensor.shape)}; its configuration makes it {list(shape)}"
        )
    return tensor
