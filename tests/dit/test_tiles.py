"""What the recorded cases leave open of texts and tiles."""

import pytest
import torch

from dit_service.text_encoder import TextEncoder
from dit_service.vae import Vae
from tests.dit.golden import assert_close, wave


def test_a_long_text_loses_its_end_but_not_the_closing_token(text_encoder: TextEncoder) -> None:
    whole = text_encoder.token_ids("slow piano " * 100, 10_000)

    cut = text_encoder.token_ids("slow piano " * 100, 50)

    assert cut == [*whole[:49], whole[-1]]


@pytest.mark.parametrize("samples", [240_000, 240_000 - 700])
def test_encoding_in_tiles_gives_what_encoding_at_once_gives(vae: Vae, samples: int) -> None:
    small = Vae(vae.revision, vae.network, encode_tile_samples=96_000, encode_overlap_samples=19_200)
    sound = torch.from_numpy(wave(240_000, kind=0))[:samples]

    latents = torch.cat(list(small.encode(sound)), dim=1).transpose(1, 2)

    (whole,) = vae.encode(sound)
    assert_close(latents, whole.transpose(1, 2))
