"""What the recorded cases leave open of texts and tiles."""

from dataclasses import replace

import pytest
import torch

from dit_service.text_encoder import TextEncoder
from dit_service.vae import OVERLAP_FRAMES, Vae, tiles
from tests.dit.golden import assert_close, wave


def test_a_long_text_loses_its_end_but_not_the_closing_token(text_encoder: TextEncoder) -> None:
    whole = text_encoder.token_ids("slow piano " * 100, 10_000)

    cut = text_encoder.token_ids("slow piano " * 100, 50)

    assert cut == [*whole[:49], whole[-1]]


@pytest.mark.parametrize("samples", [240_000, 240_000 - 700])
def test_encoding_in_tiles_gives_what_encoding_at_once_gives(vae: Vae, samples: int) -> None:
    small = Vae(vae.revision, vae.network, encode_tile_samples=96_000)
    sound = torch.from_numpy(wave(240_000, kind=0))[:samples]

    latents = torch.cat(list(small.encode(sound)), dim=1).transpose(1, 2)

    (whole,) = vae.encode(sound)
    assert_close(latents, whole.transpose(1, 2))


@pytest.mark.parametrize("length", [1, 50, 51, 100, 101, 120, 121, 1000])
def test_tiles_follow_each_other_from_a_small_first_one(length: int) -> None:
    found = tiles(length, 100, 10, first=50)

    assert found[0].window == slice(0, min(50, length))
    assert [tile.core.start for tile in found] == [0, *(tile.core.stop for tile in found[:-1])]
    assert found[-1].core.stop == length
    for tile in found[1:]:
        assert tile.window.stop - tile.window.start <= 100
        assert tile.lead == 10
        assert tile.window.stop == min(tile.core.stop + 10, length)


def test_tiles_overlap_by_all_that_the_codec_hears(vae: Vae) -> None:
    latents = torch.randn(1, 300, vae.latent_channels, generator=torch.Generator().manual_seed(1))
    small = replace(vae, decode_tile_frames=100, first_tile_frames=50)

    joined = torch.cat(list(small.decode(latents)))

    (whole,) = vae.decode(latents)
    assert_close(joined, whole)


def test_sound_hears_latents_that_are_nearly_an_overlap_away_and_none_beyond(vae: Vae) -> None:
    latents = torch.randn(1, 60, vae.latent_channels, generator=torch.Generator().manual_seed(1))
    other, hop = latents.clone(), vae.samples_per_frame
    other[0, 30] += 10.0

    (sound,), (changed,) = vae.decode(latents), vae.decode(other)

    places = (sound != changed).any(1).nonzero()
    before, after = 30 - int(places.min()) / hop, int(places.max() + 1) / hop - 31
    assert OVERLAP_FRAMES - 2 < max(before, after) <= OVERLAP_FRAMES - 1


def test_latents_hear_no_sound_beyond_an_overlap(vae: Vae) -> None:
    hop = vae.samples_per_frame
    sound = torch.from_numpy(wave(60 * hop, kind=0))
    other = sound.clone()
    other[30 * hop : 31 * hop] += 10.0

    (latents,), (changed,) = vae.encode(sound), vae.encode(other)

    places = (latents != changed)[0].any(1).nonzero()
    assert max(30 - int(places.min()), int(places.max()) - 30) <= OVERLAP_FRAMES - 1
