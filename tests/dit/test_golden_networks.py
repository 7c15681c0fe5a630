"""The loaded networks agree with the reference, tensor by tensor."""

import pytest
import torch

from dit_service import conditions, flow
from dit_service.text_encoder import MAX_LYRIC_TOKENS, TextEncoder
from dit_service.vae import Vae
from tests.dit.conftest import Networks
from tests.dit.golden import WAVEFORM_TOLERANCE, assert_close, case, wave


@pytest.mark.parametrize("variant", ["turbo", "base", "xl"])
def test_conditions_of_one_item_are_those_of_the_reference_without_its_padding(
    networks: Networks, variant: str
) -> None:
    golden = case(f"cond_encoder_{variant}")
    model = networks(golden.model)

    for item in range(2):
        text, lyrics, expected = (
            golden[f"{place}.{name}_hidden_states"][item][
                golden[f"{place}.{name}_attention_mask"][item] > 0
            ]
            for place, name in (("in", "text"), ("in", "lyric"), ("out", "encoder"))
        )
        references = golden["in.refer_audio_acoustic_hidden_states_packed"]
        mine = references[golden["in.refer_audio_order_mask"] == item]
        timbre = torch.cat([conditions.timbre(model, reference[None]) for reference in mine], dim=1)

        assert_close(conditions.sequence(model, text[None], lyrics[None], timbre)[0], expected)


@pytest.mark.parametrize("variant", ["turbo", "base", "xl"])
def test_the_transformer_agrees_with_the_reference(networks: Networks, variant: str) -> None:
    golden = case(f"dit_forward_{variant}")

    velocity = networks(golden.model).transformer(
        hidden_states=golden["in.x"],
        timestep=golden["in.t"],
        timestep_r=golden["in.r"],
        encoder_hidden_states=golden["in.encoder_hidden_states"],
        context_latents=golden["in.context_latents"],
        return_dict=False,
    )[0]

    assert_close(velocity, golden["out.v"])


@pytest.mark.parametrize("variant", ["turbo", "xl"])
def test_latents_become_the_codes_of_the_reference_and_codes_its_latents(
    networks: Networks, variant: str
) -> None:
    golden = case(f"tokenizer_{variant}")
    model = networks(golden.model)

    for item, latents in enumerate(golden["in.latents"]):
        codes = conditions.encode_codes(model, latents[None])
        assert codes == golden["out.indices"][item, :, 0].tolist()
        assert_close(conditions.decode_codes(model, codes)[0], golden["out.detok_25hz"][item])
    assert_close(conditions.decode_codes(model, golden["in.codes"].tolist()), golden["out.codes_25hz"])


def test_texts_become_the_ids_and_states_of_the_reference(text_encoder: TextEncoder) -> None:
    golden = case("text_encoder")

    for place, text in enumerate(golden.facts["texts"]):
        ids = text_encoder.token_ids(text, MAX_LYRIC_TOKENS)
        assert ids == golden[f"out.ids{place}"][0].tolist()
        assert_close(text_encoder.hidden_states(text), golden[f"out.last_hidden{place}"])
        assert_close(text_encoder.embeddings(text), golden[f"out.embed{place}"])


def test_a_long_text_loses_its_end_but_not_the_closing_token(text_encoder: TextEncoder) -> None:
    whole = text_encoder.token_ids("slow piano " * 100, 10_000)

    cut = text_encoder.token_ids("slow piano " * 100, 50)

    assert cut == [*whole[:49], whole[-1]]


@pytest.mark.parametrize("seed", [0, 42, 43, 2**32 - 1])
def test_a_seed_draws_the_noise_of_the_reference(seed: int) -> None:
    expected = case("noise_cpu_fp32")[f"out.seed_{seed}"]

    noise = flow.noise(6, 8, torch.Generator().manual_seed(seed))

    assert torch.equal(noise, expected)


def test_latents_decode_to_the_sound_of_the_reference(vae: Vae) -> None:
    golden = case("vae_decode")

    (audio,) = vae.decode(golden["in.z"].transpose(1, 2))

    assert_close(audio.T[None], golden["out.wav"], WAVEFORM_TOLERANCE)


def test_tiles_join_without_a_trace(vae: Vae) -> None:
    golden = case("vae_tiled_decode")
    small = Vae(vae.revision, vae.network, decode_tile_frames=64, decode_overlap_frames=16)

    pieces = list(small.decode(golden["in.z"].transpose(1, 2)))

    audio = torch.cat(pieces)
    assert len(pieces) == 5
    assert list(audio.T[None].shape) == golden.facts["shape"]
    for window, start in enumerate(golden.facts["window_starts"]):
        part = audio[start : start + 1024].T[None]
        assert_close(part, golden["out.full_windows"][window], WAVEFORM_TOLERANCE)


def test_sound_encodes_to_the_latents_of_the_reference(vae: Vae) -> None:
    golden = case("vae_encode")

    (latents,) = vae.encode(torch.from_numpy(wave(96_500, kind=2)))

    assert_close(latents.transpose(1, 2), golden["out.mean"])


@pytest.mark.parametrize("samples", [240_000, 240_000 - 700])
def test_encoding_in_tiles_gives_what_encoding_at_once_gives(vae: Vae, samples: int) -> None:
    golden = case("vae_tiled_encode")
    small = Vae(vae.revision, vae.network, encode_tile_samples=96_000, encode_overlap_samples=19_200)
    sound = torch.from_numpy(wave(240_000, kind=0))[:samples]

    latents = torch.cat(list(small.encode(sound)), dim=1).transpose(1, 2)

    (whole,) = vae.encode(sound)
    assert_close(latents, whole.transpose(1, 2))
    if samples == 240_000:
        assert_close(latents, golden["out.full_mean"])


@pytest.mark.parametrize("samples", [96_001, 288_777])
def test_a_file_becomes_the_codes_of_the_reference(vae: Vae, networks: Networks, samples: int) -> None:
    golden = case(f"audio_to_codes_{samples}")

    latents = torch.cat(list(vae.encode(torch.from_numpy(wave(samples, kind=0)))), dim=1)

    assert conditions.encode_codes(networks(golden.model), latents) == golden["out.codes"].tolist()
