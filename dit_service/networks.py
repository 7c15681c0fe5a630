"""The networks of a DiT checkpoint, built from its configuration and filled with its weights.

Source: spec dit.md 1.2, 1.5, 1.6 and 7.1.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from torch import Tensor, nn

from common.revision import Revision, of_checkpoint
from dit_service import checkpoint, layout
from dit_service.checkpoint import CheckpointError, Config
from dit_service.network import sizes, weights
from dit_service.network.encoder import Encoder, taken_over
from dit_service.network.sizes import LayerSizes
from dit_service.network.transformer import DiffusionTransformer

SHARED_KEYS = (
    "head_dim",
    "rope_theta",
    "attention_bias",
    "attention_dropout",
    "rms_norm_eps",
    "sliding_window",
)


@dataclass(frozen=True, slots=True)
class DitNetworks:
    """One loaded DiT checkpoint. `Any` is diffusers' modules: they carry no types."""

    revision: Revision
    is_turbo: bool
    transformer: DiffusionTransformer
    """Predicts the velocity of latents."""
    conditioner: Any
    """Turns text, lyrics and timbre into what the transformer attends to."""
    tokenizer: Any
    """Turns 25 latents a second into 5 codes a second."""
    detokenizer: Any
    """Turns codes back into latents."""
    silence: Tensor
    """Latents of silence, `[1, 15000, channels]` float32, on the device."""
    timbre_frames: int
    """Latent frames that the timbre encoder hears."""
    code_count: int
    """Size of the code book."""

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in. Latents and schedules are float32 always."""
        dtype: torch.dtype = self.conditioner.null_condition_emb.dtype
        return dtype


class SpecialTokenFirst(nn.Module):
    """Embeds frames, and puts the checkpoint's special token before them.

    XL checkpoints were trained to gather the timbre in that token; diffusers' timbre encoder
    reads the first position, but leaves the token out (spec dit.md 7.1).
    """

    def __init__(self, embed: nn.Module, special_token: nn.Parameter) -> None:
        super().__init__()
        self.embed = embed
        self.special_token = special_token

    def forward(self, frames: Tensor) -> Tensor:
        """`[batch, frames, channels]` to `[batch, 1 + frames, hidden]`."""
        return torch.cat([self.special_token.expand(len(frames), -1, -1), self.embed(frames)], dim=1)


def load_dit(folder: Path, device: torch.device, dtype: torch.dtype) -> DitNetworks:
    """Raises `CheckpointError`, naming the folder, if anything is missing, left over or misshapen."""
    try:
        return _load_dit(folder, device, dtype)
    except CheckpointError as error:
        raise CheckpointError(f"{folder.name}: {error}") from None


def load_vae(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The audio codec. Weight normalisation is folded into the weights: they never change here."""
    config = Config(folder)
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)  # the published weights are in the old form
        vae = AutoencoderOobleck(
            **config.pick(
                "encoder_hidden_size",
                "downsampling_ratios",
                "channel_multiples",
                "decoder_channels",
                "decoder_input_channels",
                "audio_channels",
                "sampling_rate",
            )
        )
    tensors = checkpoint.read_file(folder / "diffusion_pytorch_model.safetensors")
    checkpoint.fill(vae, "", tensors)
    checkpoint.refuse_left_over(tensors)
    for module in vae.modules():
        if hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)
    return _ready(vae, device, dtype)


def _load_dit(folder: Path, device: torch.device, dtype: torch.dtype) -> DitNetworks:
    stored = layout.read(folder)
    config, tensors, silence = stored.config, stored.tensors, stored.silence
    tensors["encoder.silence_latent"] = silence  # the condition encoder keeps it as a buffer
    transformer_sizes = sizes.sizes(config)
    weights.join(tensors, transformer_sizes)
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        transformer = DiffusionTransformer(transformer_sizes)
        conditioner, tokenizer, detokenizer = encoders(config)
    # Its tables are in no file: they must be made where memory is real.
    tokenizer.quantizer = type(tokenizer.quantizer)(
        config["fsq_dim"], config["fsq_input_levels"], config["fsq_input_num_quantizers"]
    )
    checkpoint.fill(transformer, "decoder.", tensors)
    checkpoint.fill(conditioner, "encoder.", tensors)
    checkpoint.fill(tokenizer, "tokenizer.", tensors)
    checkpoint.fill(detokenizer, "detokenizer.", tensors)
    checkpoint.refuse_left_over(tensors)
    if config.has_own_encoder_width:
        timbre = conditioner.timbre_encoder
        timbre.embed_tokens = SpecialTokenFirst(timbre.embed_tokens, timbre.special_token)
    conditioner.lyric_encoder = _encoder(config, conditioner.lyric_encoder)
    conditioner.timbre_encoder = _encoder(config, conditioner.timbre_encoder)
    _ready(transformer, device, dtype)
    _ready(conditioner, device, dtype)
    with torch.inference_mode():
        transformer.prepare(conditioner.null_condition_emb[0])
    return DitNetworks(
        revision=of_checkpoint(folder),
        is_turbo=config["is_turbo"],
        transformer=transformer,
        conditioner=conditioner,
        tokenizer=_ready(tokenizer, device, dtype),
        detokenizer=_ready(detokenizer, device, dtype),
        silence=silence.to(device, torch.float32),
        timbre_frames=config["timbre_fix_frame"],
        code_count=_code_count(config),
    )


def _encoder(config: Config, theirs: Any) -> Encoder:
    """Ours in the place of diffusers'."""
    layer_sizes = LayerSizes(
        hidden=config.encoder("hidden_size"),
        feed_forward=config.encoder("intermediate_size"),
        heads=config.encoder("num_attention_heads"),
        key_heads=config.encoder("num_key_value_heads"),
        head_width=config["head_dim"],
        rope_theta=config["rope_theta"],
        epsilon=config["rms_norm_eps"],
        attention_bias=config["attention_bias"],
    )
    return taken_over(theirs, layer_sizes, [layer.self_attn.sliding_window for layer in theirs.layers])


def encoders(config: Config) -> tuple[Any, Any, Any]:
    """Condition encoder, audio tokenizer and detokenizer of a configuration, not yet filled."""
    return (
        AceStepConditionEncoder(**_conditioner_sizes(config)),
        AceStepAudioTokenizer(**_tokenizer_sizes(config)),
        AceStepAudioTokenDetokenizer(**_detokenizer_sizes(config)),
    )


def _ready(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    # Past diffusers' own `to`, which warns of modules that it has no list of.
    return nn.Module.to(module, device, dtype).eval().requires_grad_(False)


def _code_count(config: Config) -> int:
    if config["fsq_input_num_quantizers"] != 1:
        raise CheckpointError("fsq_input_num_quantizers must be 1: a code is one number")
    return math.prod(config["fsq_input_levels"])


def _encoder_sizes(config: Config) -> dict[str, Any]:
    widths = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    return config.pick(*SHARED_KEYS) | {key: config.encoder(key) for key in widths}


def _conditioner_sizes(config: Config) -> dict[str, Any]:
    return {
        **_encoder_sizes(config),
        **config.pick(
            "text_hidden_dim",
            "timbre_hidden_dim",
            "num_lyric_encoder_hidden_layers",
            "num_timbre_encoder_hidden_layers",
        ),
        "layer_types": config["layer_types"][: config["num_lyric_encoder_hidden_layers"]],
    }


def _pooler_sizes(config: Config) -> dict[str, Any]:
    layers = config["num_attention_pooler_hidden_layers"]
    return {
        **_encoder_sizes(config),
        **config.pick("audio_acoustic_hidden_dim", "pool_window_size"),
        "num_attention_pooler_hidden_layers": layers,
        "layer_types": config["layer_types"][:layers],
    }


def _tokenizer_sizes(config: Config) -> dict[str, Any]:
    return _pooler_sizes(config) | config.pick("fsq_dim", "fsq_input_levels", "fsq_input_num_quantizers")


def _detokenizer_sizes(config: Config) -> dict[str, Any]:
    return _pooler_sizes(config)
