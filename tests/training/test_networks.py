"""What trains is what is served: the networks agree with the services' own loading and computing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dit_service import conditions
from dit_service.networks import DitNetworks, load_dit, load_vae
from dit_service.text_encoder import TextEncoder
from lm_service.checkpoint import recommended_cfg_scale, verify, verify_vocabulary
from lm_service.vocabulary import Vocabulary
from training import export, oobleck
from training.compose import compose
from training.lm import LanguageModel
from training.networks import Family, write_config
from training.scores import MODES, packed, score
from training.serving import served_velocity
from training.sizes import CODE_COUNT, LATENT_CHANNELS
from training.tokenizers import for_language_model, for_text_encoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def few_texts() -> None:
    """Tokenizers of few songs: how well they split is not what is tested here."""
    pytest.MonkeyPatch().setattr("training.tokenizers.SONGS", 30)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family with random weights, as the stages write it."""
    folder = tmp_path_factory.mktemp("family")
    torch.manual_seed(1)
    tokenizer = for_text_encoder()
    write_config(folder / "config", "base")
    family = Family(folder / "config", tokenizer.get_vocab_size())
    with torch.no_grad():
        family.silence.normal_()
    export.dit(family, folder / "acestep-v15-base", "base")
    export.text_encoder(family, folder / export.TEXT_ENCODER, tokenizer)
    oobleck.save(oobleck.build(), folder / "vae", torch.float16)
    return folder


@pytest.fixture(scope="module")
def trained(models: Path) -> Family:
    size = for_text_encoder().get_vocab_size()
    return export.load_family(models, "base", size).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def served(models: Path) -> DitNetworks:
    return load_dit(models / "acestep-v15-base", CPU, torch.float32)


def test_padding_in_a_batch_changes_neither_conditions_nor_velocity(
    models: Path, trained: Family, served: DitNetworks
) -> None:
    encoder = TextEncoder.load(models / export.TEXT_ENCODER, CPU, torch.float32)
    text, lyrics = "# Caption\nslow piano\n", "# Lyric\n[Verse]<|endoftext|>"
    timbre = conditions.timbre(served, served.silence[:, :750])
    sequence = conditions.sequence(served, encoder.hidden_states(text), encoder.embeddings(lyrics), timbre)
    noisy, source = torch.randn(2, 1, 251, LATENT_CHANNELS).unbind(0)
    context = conditions.context(served, source)

    text_ids, lyric_ids = (
        torch.tensor([ids + [-1] * (40 - len(ids))])
        for ids in (encoder.token_ids(text, 40), encoder.token_ids(lyrics, 40))
    )
    ours, real = trained.conditions(text_ids, lyric_ids, trained.silence.expand(1, 750, -1))
    velocity = trained.velocity(noisy, torch.tensor([0.7]), (ours, real), context)

    torch.testing.assert_close(ours[real][None], sequence, atol=1e-4, rtol=1e-4)
    wanted = served_velocity(served, noisy, 0.7, sequence, context)
    torch.testing.assert_close(velocity, wanted, atol=1e-4, rtol=1e-4)


def test_codes_in_training_are_the_codes_that_are_served(trained: Family, served: DitNetworks) -> None:
    latents = torch.randn(1, 100, LATENT_CHANNELS)

    codes, hint = trained.codes(latents)

    assert codes[0].tolist() == conditions.encode_codes(served, latents)
    torch.testing.assert_close(hint, conditions.decode_codes(served, codes[0].tolist()))


def test_scaled_latents_decode_to_the_same_sound(models: Path) -> None:
    vae = oobleck.load(models / "vae").eval()
    sound = torch.randn(1, 2, 19_200) * 0.1
    with torch.no_grad():
        before = vae.encoder(sound).chunk(2, dim=1)[0]
        spread = torch.rand(LATENT_CHANNELS) + 0.5
        wanted = vae.decoder(before)
        oobleck.normalise(vae, spread)
        after = vae.encoder(sound).chunk(2, dim=1)[0]

        torch.testing.assert_close(after, before / spread[:, None], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(vae.decoder(after), wanted, atol=1e-5, rtol=1e-3)


def test_the_services_load_the_codec(models: Path) -> None:
    assert load_vae(models / "vae", CPU, torch.float32).config.decoder_input_channels == LATENT_CHANNELS


def test_the_shipped_codec_is_of_these_sizes() -> None:
    folder = Path(__file__).parents[2] / "models_micro/vae"

    vae = oobleck.load(folder)

    stored = json.loads((folder / "config.json").read_text())
    assert {name: stored[name] for name in oobleck.CONFIG} == oobleck.CONFIG
    assert vae.encoder.conv2.out_channels == 2 * LATENT_CHANNELS


def test_the_service_accepts_the_language_model(tmp_path: Path) -> None:
    tokenizer = for_language_model()
    model = LanguageModel(export.lm_config(tokenizer))

    export.language_model(model.network.state_dict(), tmp_path, tokenizer)

    verify(tmp_path)
    assert recommended_cfg_scale(tmp_path) == export.GUIDANCE
    vocabulary = Vocabulary.load(tmp_path)
    verify_vocabulary(tmp_path, vocabulary.size)
    assert len(vocabulary.code_window(CODE_COUNT).codes) == CODE_COUNT


def test_every_mode_ends_the_turn_and_learns_only_the_answer() -> None:
    vocabulary = Vocabulary(for_language_model())
    codes = (np.arange(150) % CODE_COUNT).tolist()
    draw = np.random.default_rng(0)

    scores = [score(compose(2_000_000 + seed, 30.0), codes, vocabulary, draw) for seed in range(40)]

    for one in scores:
        assert one.ids[-1] == vocabulary.end_of_turn
        assert vocabulary.decode(one.ids[: one.asked]).rstrip().endswith(("assistant", "</think>"))
    ids, wanted, weight = packed(scores)
    assert len(ids) <= len(scores) and len(MODES) == 5
    learnt = (wanted >= 0).sum(1)
    assert (learnt > 0).all() and (learnt < ids.shape[1]).all()
    assert ((weight > 1).any(1) == torch.tensor([one.mode == "understand" for one in scores])).all()


def test_what_only_codes_tell_is_stressed_in_a_description() -> None:
    vocabulary = Vocabulary(for_language_model())
    draw = np.random.default_rng(0)

    for seed in range(2_000_000, 2_000_012):
        song = compose(seed, 10.0)
        told = score(song, [0] * 50, vocabulary, draw)
        words = vocabulary.decode([told.ids[place] for place in told.stressed])
        wanted = f"{song.bpm} {song.key.name}" if told.mode == "understand" else ""
        assert words.strip() == wanted
