"""The networks of a DiT checkpoint with the text encoder, as they train: the services' own modules."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.transformers.ace_step_transformer import (
    AceStepAttention,
    AceStepTransformer1DModel,
    AceStepTransformerBlock,
)
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepEncoderLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3Config, Qwen3Model
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from dit_service import checkpoint
from dit_service.checkpoint import Config
from dit_service.networks import encoders
from model_store.tiny import dit as layout
from model_store.tiny import qwen3
from training.sizes import (
    DIT,
    DIT_LAYERS,
    FSQ_LEVELS,
    LATENT_CHANNELS,
    LYRIC_LAYERS,
    POOLER_LAYERS,
    TEXT_ENCODER,
    TEXT_ENCODER_LAYERS,
    TIMBRE_LAYERS,
)

SILENCE_FRAMES = 15_000
ROPE_THETA = 10_000
"""Of 16 turning speeds then 9 tell places in a song of 30 s apart; with the release's 1 000 000 it is 6."""
TEXT_POSITIONS = 32_768
TRANSFORMER_KEYS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim"),
    *("num_key_value_heads", "in_channels", "audio_acoustic_hidden_dim", "patch_size", "layer_types"),
    *("rope_theta", "attention_bias", "attention_dropout", "rms_norm_eps", "sliding_window"),
)


def dit_config(version: str) -> dict[str, object]:
    """`config.json` of a DiT of our sizes; `version` is `base` or `turbo`."""
    return layout.config(version) | {
        "audio_acoustic_hidden_dim": LATENT_CHANNELS,
        "timbre_hidden_dim": LATENT_CHANNELS,
        "in_channels": 3 * LATENT_CHANNELS,
        "fsq_dim": DIT.hidden,
        "fsq_input_levels": list(FSQ_LEVELS),
        "head_dim": DIT.head_size,
        "hidden_size": DIT.hidden,
        "intermediate_size": DIT.ffn,
        "layer_types": [("sliding_attention", "full_attention")[index % 2] for index in range(DIT_LAYERS)],
        "num_attention_heads": DIT.heads,
        "rope_theta": ROPE_THETA,
        "num_key_value_heads": DIT.kv_heads,
        "num_hidden_layers": DIT_LAYERS,
        "num_audio_decoder_hidden_layers": DIT_LAYERS,
        "num_attention_pooler_hidden_layers": POOLER_LAYERS,
        "num_lyric_encoder_hidden_layers": LYRIC_LAYERS,
        "num_timbre_encoder_hidden_layers": TIMBRE_LAYERS,
        "text_hidden_dim": TEXT_ENCODER.hidden,
    }


def text_config(vocabulary: int) -> dict[str, object]:
    return qwen3.config(TEXT_ENCODER, TEXT_ENCODER_LAYERS, vocabulary, TEXT_POSITIONS)


@dataclass(slots=True)
class CrossMask:
    """Which conditions are real, `[batch, 1, 1, tokens]`; the services have no padding, batches here do."""

    keys: Tensor | None = None


class Attention:
    """What diffusers' attention computes, with a mask over padded conditions and no slow paths."""

    def __init__(self, cross: CrossMask, window: int = 0) -> None:
        """Sequences up to `window` are as long as a layer hears: they need no mask of their own."""
        self._cross, self._window = cross, window

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.norm_q(attn.to_q(hidden_states).unflatten(-1, (attn.heads, attn.head_dim)))
        key = attn.norm_k(attn.to_k(source).unflatten(-1, (attn.kv_heads, attn.head_dim)))
        value = attn.to_v(source).unflatten(-1, (attn.kv_heads, attn.head_dim))
        if image_rotary_emb is not None and encoder_hidden_states is None:
            query, key = (_rotated(states, *image_rotary_emb) for states in (query, key))
        mask = self._cross.keys if encoder_hidden_states is not None else attention_mask
        if self._window >= hidden_states.shape[1] and mask is attention_mask:
            mask = None
        groups = attn.heads // attn.kv_heads
        key, value = (states.repeat_interleave(groups, dim=2).transpose(1, 2) for states in (key, value))
        query, key = query.transpose(1, 2).to(value.dtype), key.to(value.dtype)
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(value.dtype)
        heard = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        result: Tensor = attn.to_out[0](heard.transpose(1, 2).flatten(2))
        return result


def _rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = states.chunk(2, dim=-1)
    return states * cos[:, None] + torch.cat([-right, left], dim=-1) * sin[:, None]


class Family(nn.Module):
    """A DiT with its encoders, audio tokenizer and text encoder."""

    silence: Tensor
    """The latent frame of silence, `[channels]`."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        """`folder` holds a DiT's `config.json`."""
        super().__init__()
        config = Config(folder)
        self.transformer = AceStepTransformer1DModel(**config.pick(*TRANSFORMER_KEYS))
        self.conditioner, self.tokenizer, self.detokenizer = encoders(config)
        self.text = Qwen3Model(Qwen3Config(**text_config(vocabulary), attn_implementation="sdpa"))
        self.cross = CrossMask()
        for module in self.modules():
            if isinstance(module, AceStepAttention):
                module.set_processor(Attention(self.cross))
        for module in self.transformer.modules():
            if isinstance(module, AceStepAttention):
                module.set_processor(Attention(self.cross, window=config["sliding_window"]))
        self.register_buffer("silence", torch.zeros(LATENT_CHANNELS))

    def conditions(self, text: Tensor, lyrics: Tensor, timbres: Tensor) -> tuple[Tensor, Tensor]:
        """The sequence of conditions and which of it are real; ids are `[batch, tokens]`, -1 is padding.

        `timbres` is `[1 + some, frames, channels]`: what most rows hear, encoded once, and what each of the
        first rows hears instead.
        """
        text_real, lyrics_real = text >= 0, lyrics >= 0
        states = self._text_states(text.clamp(min=0))
        rows = self.text.embed_tokens(lyrics.clamp(min=0))
        sung = self.conditioner.lyric_encoder(inputs_embeds=rows, attention_mask=lyrics_real)
        tokens = self._timbre(timbres)
        heard = torch.cat([tokens[1:], tokens[:1].expand(len(text) - len(timbres) + 1, -1, -1)])
        sequence = torch.cat([sung, heard, self.conditioner.text_projector(states)], dim=1)
        real = torch.cat([lyrics_real, torch.ones_like(text_real[:, :1]), text_real], dim=1)
        return sequence, real

    def _text_states(self, ids: Tensor) -> Tensor:
        states = self.text.embed_tokens(ids)
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        rotary = self.text.rotary_emb(states, places)
        for layer in self.text.layers:
            states = layer(states, attention_mask=None, position_embeddings=rotary)
        result: Tensor = self.text.norm(states)
        return result

    def fuse(self) -> None:
        """Fuse what the layers compute. By layer: they are alike, and so there is little to compile."""
        torch._dynamo.config.recompile_limit = 64  # lengths of songs, with and without gradients
        for module in self.modules():
            if isinstance(module, AceStepTransformerBlock | AceStepEncoderLayer | Qwen3DecoderLayer):
                module.compile(dynamic=False)

    def _timbre(self, frames: Tensor) -> Tensor:
        encoder = self.conditioner.timbre_encoder
        states = encoder.embed_tokens(frames)
        count = states.shape[1]
        places = torch.arange(count, device=frames.device)
        near = (places[:, None] - places).abs() <= encoder.sliding_window
        rotary = rotary_tables(count, encoder.head_dim, encoder.rope_theta, frames.device)
        for kind, layer in zip(encoder._layer_types, encoder.layers, strict=True):
            mask = near[None, None] if kind == "sliding_attention" else None
            states = layer(hidden_states=states, position_embeddings=rotary, attention_mask=mask)
        result: Tensor = encoder.norm(states)[:, :1]
        return result

    def velocity(
        self, noisy: Tensor, times: Tensor, conditions: tuple[Tensor, Tensor], context: Tensor
    ) -> Tensor:
        sequence, real = conditions
        self.cross.keys = real[:, None, None]
        result: Tensor = self.transformer(
            hidden_states=noisy,
            timestep=times,
            timestep_r=times,
            encoder_hidden_states=sequence,
            context_latents=context,
            return_dict=False,
        )[0]
        return result.float()

    def codes(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents `[batch, 5 * codes, channels]` as numbers of codes, and as what these stand for.

        Rounding passes gradients on unchanged.
        """
        pooled = self.tokenizer.audio_acoustic_proj(latents).unflatten(1, (-1, 5))
        pooled = self.tokenizer.attention_pooler(pooled)
        fsq = self.tokenizer.quantizer
        flat = functional.linear(pooled.float(), fsq.project_in.weight, fsq.project_in.bias)
        bound = 1 + 1 / (fsq._levels.to(flat) - 1)
        flat = bound * torch.tanh(flat / bound)
        rounded = fsq._quantize(flat)
        numbers = fsq._codes_to_indices(rounded)
        passed = flat + (rounded - flat).detach()
        quantized = functional.linear(passed, fsq.project_out.weight, fsq.project_out.bias)
        return numbers, self.detokenizer(quantized)


def rotary_tables(count: int, size: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    speeds = theta ** -(torch.arange(0, size, 2, device=device).float() / size)
    turns = torch.arange(count, device=device).float()[:, None] * speeds
    turns = torch.cat([turns, turns], dim=-1)
    return turns.cos(), turns.sin()


def write_config(folder: Path, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dit_config(version), indent=2) + "\n")


def published(family: Family) -> dict[str, Tensor]:
    """The tensors of a DiT checkpoint, under their published names."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in (
        ("decoder.", family.transformer),
        ("encoder.", family.conditioner),
        ("tokenizer.", family.tokenizer),
        ("detokenizer.", family.detokenizer),
    ):
        for name, tensor in module.state_dict().items():
            if name != "silence_latent":
                tensors[checkpoint.published_name(f"{prefix}{name}")] = tensor.detach()
    return tensors
