"""The dimensions of a diffusion transformer, as its checkpoint's configuration gives them.

Source: spec dit.md 1.2.
"""

from dataclasses import dataclass

from dit_service.checkpoint import CheckpointError, Config

SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSizes:
    """Of a layer of any of the transformers."""

    hidden: int
    feed_forward: int
    heads: int
    key_heads: int
    head_width: int
    rope_theta: float
    epsilon: float
    attention_bias: bool

    @property
    def query_width(self) -> int:
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        return self.key_heads * self.head_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(LayerSizes):
    frame_width: int
    """Numbers per latent frame that go in: source, mask and noisy latents."""
    channels: int
    """Numbers per latent frame that come out."""
    patch: int
    """Latent frames in a token."""
    condition_width: int
    sliding: tuple[bool, ...]
    """Whether a layer hears a window only; one for each layer."""
    window: int
    """How many tokens to either side a sliding layer hears."""


def sizes(config: Config) -> Sizes:
    """Raises `CheckpointError` for kinds of layers that this transformer does not have."""
    kinds = config["layer_types"][: config["num_hidden_layers"]]
    if len(kinds) != config["num_hidden_layers"] or set(kinds) - {SLIDING, FULL}:
        raise CheckpointError(f"layer_types must name {SLIDING} or {FULL} for every layer")
    return Sizes(
        hidden=config["hidden_size"],
        feed_forward=config["intermediate_size"],
        heads=config["num_attention_heads"],
        key_heads=config["num_key_value_heads"],
        head_width=config["head_dim"],
        frame_width=config["in_channels"],
        channels=config["audio_acoustic_hidden_dim"],
        patch=config["patch_size"],
        condition_width=config.encoder("hidden_size"),
        sliding=tuple(kind == SLIDING for kind in kinds),
        window=config["sliding_window"],
        rope_theta=config["rope_theta"],
        epsilon=config["rms_norm_eps"],
        attention_bias=config["attention_bias"],
    )
