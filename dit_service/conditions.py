"""What steers a render: the sequence it attends to, and the latents it sees beside its own.

Every item is conditioned alone, so there is no padding and nothing depends on a neighbour.
Source: spec dit.md 2.2, 2.6 and 10.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dit_service.networks import DitNetworks


@dataclass(frozen=True, slots=True)
class Conditions:
    sequence: Tensor
    """Lyrics, timbre and text, `[1, tokens, hidden]`, in the networks' type."""
    context: Tensor
    """Source latents and mask per frame, `[1, frames, 2 * channels]`, in the networks' type."""


def timbre(networks: DitNetworks, reference: Tensor) -> Tensor:
    """The timbre of `reference` latents `[1, frames, channels]`, as one token `[1, 1, hidden]`."""
    owner = torch.zeros(1, dtype=torch.long, device=reference.device)
    token, _ = networks.conditioner.timbre_encoder(reference.to(networks.dtype), owner)
    return token  # type: ignore[no-any-return]


def sequence(networks: DitNetworks, text: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
    """Put lyrics, timbre and text in the order that the transformer knows.

    `text` and `lyrics` are `[1, tokens, text width]` from the text encoder; `timbre` is
    `[1, references, hidden]`.
    """
    conditioner = networks.conditioner
    heard = torch.ones(lyrics.shape[:2], dtype=torch.bool, device=lyrics.device)
    sung = conditioner.lyric_encoder(inputs_embeds=lyrics.to(networks.dtype), attention_mask=heard)
    return torch.cat([sung, timbre, conditioner.text_projector(text.to(networks.dtype))], dim=1)


def context(networks: DitNetworks, source: Tensor) -> Tensor:
    """`source` latents `[1, frames, channels]` with a mask that lets the model change all of them."""
    return torch.cat([source, torch.ones_like(source)], dim=-1).to(networks.dtype)


def hint(networks: DitNetworks, codes: Sequence[int], frames: int) -> Tensor:
    """The latents that `codes` stand for, `[1, frames, channels]` float32; silence after their end."""
    latents = decode_codes(networks, codes)[:, :frames]
    return torch.cat([latents, networks.silence[:, : frames - latents.shape[1]]], dim=1)


def decode_codes(networks: DitNetworks, codes: Sequence[int]) -> Tensor:
    """`[1, 5 * codes, channels]` float32."""
    indices = torch.tensor(codes, device=networks.silence.device)[None, :, None]
    quantized = networks.tokenizer.quantizer.get_output_from_indices(indices)
    return networks.detokenizer(quantized).float()  # type: ignore[no-any-return]


def encode_codes(networks: DitNetworks, latents: Tensor) -> list[int]:
    """The codes of latents `[1, frames, channels]`, one for five frames; silence fills up the last."""
    silence = networks.silence.to(networks.dtype)
    _, indices = networks.tokenizer.tokenize(latents.to(networks.dtype), silence)
    return indices[0, :, 0].tolist()  # type: ignore[no-any-return]
