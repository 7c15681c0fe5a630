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
    encoder = networks.conditioner.timbre_encoder
    frames = encoder.embed_tokens(reference.to(networks.dtype))[0]
    return encoder(frames)[None, :1]  # type: ignore[no-any-return]


def sequence(networks: DitNetworks, text: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
    """Put lyrics, timbre and text in the order that the transformer knows.

    `text` and `lyrics` are `[1, tokens, text width]` from the text encoder; `timbre` is
    `[1, references, hidden]`.
    """
    conditioner = networks.conditioner
    encoder = conditioner.lyric_encoder
    sung = encoder(encoder.embed_tokens(lyrics[0].to(networks.dtype)))[None]
    return torch.cat([sung, timbre, conditioner.text_projector(text.to(networks.dtype))], dim=1)


def context(networks: DitNetworks, source: Tensor, regions: Sequence[slice] = ()) -> Tensor:
    """`source` latents `[1, frames, channels]` with a mask of where the model may change them.

    `regions` are in frames; none means everywhere.
    """
    mask = torch.zeros_like(source) if regions else torch.ones_like(source)
    for region in regions:
        mask[:, region] = 1
    return torch.cat([source, mask], dim=-1).to(networks.dtype)


def silenced(networks: DitNetworks, source: Tensor, regions: Sequence[slice]) -> Tensor:
    """`source` latents `[1, frames, channels]` with silence in `regions`, given in frames."""
    silent = source.clone()
    for region in regions:
        silent[:, region] = networks.silence[:, region]
    return silent


def lengthened(networks: DitNetworks, latents: Tensor, frames: int, lead: int = 0) -> Tensor:
    """`latents` `[1, some, channels]` with `lead` frames of silence before, and after up to `frames`."""
    tail = networks.silence[:, : frames - lead - latents.shape[1]]
    return torch.cat([networks.silence[:, :lead], latents, tail], dim=1)


def hint(networks: DitNetworks, codes: Sequence[int], frames: int) -> Tensor:
    """The latents that `codes` stand for, `[1, frames, channels]` float32; silence after their end."""
    return lengthened(networks, decode_codes(networks, codes)[:, :frames], frames)


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
