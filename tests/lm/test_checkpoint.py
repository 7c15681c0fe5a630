"""Which checkpoint is served, whether it is whole, and how large its code book is."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.settings import SettingsError, load
from lm_service import checkpoint
from lm_service.prompt import PromptLayout
from lm_service.settings import Device, Settings
from lm_service.vocabulary import Vocabulary, read_code_count
from tests.lm.golden import FOLDER, vocabulary


def make(models: Path, name: str, *, prefix: str = "", without: str = "", extra: str = "") -> Path:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": 2, "tie_word_embeddings": True}))
    names = [
        *("embed_tokens.weight", "norm.weight"),
        *(f"layers.{layer}.{tensor}" for layer in range(2) for tensor in checkpoint.LAYER_TENSORS),
    ]
    tensors = {prefix + tensor: np.zeros(1, np.float32) for tensor in names if tensor != without}
    save_file(tensors | ({extra: np.zeros(1, np.float32)} if extra else {}), folder / "model.safetensors")
    return folder


def test_the_preferred_model_is_served_or_the_first_or_the_one_that_is_named(tmp_path: Path) -> None:
    make(tmp_path, "acestep-5Hz-lm-4B")
    make(tmp_path, "acestep-5Hz-lm-0.6B")
    make(tmp_path, "acestep-v15-turbo")

    assert checkpoint.choose(tmp_path, None).name == "acestep-5Hz-lm-0.6B"
    make(tmp_path, "acestep-5Hz-lm-1.7B")
    assert checkpoint.choose(tmp_path, None).name == "acestep-5Hz-lm-1.7B"
    assert checkpoint.choose(tmp_path, "acestep-5Hz-lm-4B").name == "acestep-5Hz-lm-4B"
    with pytest.raises(FileNotFoundError, match="acestep-5Hz-lm-8B"):
        checkpoint.choose(tmp_path, "acestep-5Hz-lm-8B")


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_whole_checkpoint_may_name_its_tensors_both_ways(tmp_path: Path, prefix: str) -> None:
    checkpoint.verify(make(tmp_path, "lm", prefix=prefix))


def test_a_tensor_that_is_missing_or_unexpected_is_named(tmp_path: Path) -> None:
    broken = make(tmp_path, "a", without="layers.1.self_attn.k_proj.weight")
    strange = make(tmp_path, "b", extra="layers.7.mlp.up_proj.weight")

    with pytest.raises(ValueError, match=r"lacks the tensor layers\.1\.self_attn\.k_proj\.weight"):
        checkpoint.verify(broken)
    with pytest.raises(ValueError, match=r"unexpected tensor layers\.7\.mlp\.up_proj\.weight"):
        checkpoint.verify(strange)


def test_a_checkpoint_may_recommend_its_guidance(tmp_path: Path) -> None:
    assert checkpoint.recommended_cfg_scale(tmp_path) is None

    config = tmp_path / "generation_config.json"
    config.write_text('{"top_k": 20}')
    assert checkpoint.recommended_cfg_scale(tmp_path) is None
    config.write_text('{"guidance_scale": 1}')
    assert checkpoint.recommended_cfg_scale(tmp_path) == 1.0


@pytest.mark.parametrize("scale", ["0.5", "7", "NaN", '"2"'])
def test_guidance_that_no_request_may_have_is_not_recommended(tmp_path: Path, scale: str) -> None:
    (tmp_path / "generation_config.json").write_text(f'{{"guidance_scale": {scale}}}')

    with pytest.raises(ValueError, match=r"guidance_scale must be within \[1, 3\]"):
        checkpoint.recommended_cfg_scale(tmp_path)


def test_a_tokenizer_with_ids_that_the_network_has_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 846}))

    checkpoint.verify_vocabulary(tmp_path, 846)
    with pytest.raises(ValueError, match="847 tokens for a network of 846"):
        checkpoint.verify_vocabulary(tmp_path, 847)


def test_the_code_book_is_as_large_as_the_codec_says(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"fsq_input_levels": [8, 8, 8, 5, 5, 5]}))
    assert read_code_count(config) == 64_000

    config.write_text(json.dumps({"fsq_input_levels": [8, 0]}))
    with pytest.raises(ValueError, match="fsq_input_levels"):
        read_code_count(config)
    with pytest.raises(FileNotFoundError, match="code book"):
        read_code_count(tmp_path / "absent.json")


def test_codes_beyond_the_code_book_have_no_place_in_its_window() -> None:
    window = vocabulary().code_window(64_000)

    assert len(window.codes) == 67
    assert max(window.codes) < 64_000
    assert vocabulary().marks["<|audio_code_65534|>"] >= window.stop


def test_every_token_decodes_to_its_own_bytes() -> None:
    text = "<think>\nÜber 鋼琴 🎹 F♯ minor\t</think><|audio_code_5|>"

    assert vocabulary().decode(vocabulary().encode(text)) == text
    assert Vocabulary.load(FOLDER / "tokenizer").pieces == vocabulary().pieces


def test_settings_come_typed_from_the_environment() -> None:
    settings = load(
        Settings,
        "ACESTEP_LM",
        {"ACESTEP_LM_MODELS": "/m", "ACESTEP_LM_DEVICE": "cuda", "ACESTEP_LM_PROMPT_LAYOUT": "closed"},
    )

    assert (settings.device, settings.prompt_layout) == (Device.CUDA, PromptLayout.CLOSED_TURN)
    assert settings.codec_config_path == Path("/m/acestep-v15-turbo/config.json")


@pytest.mark.parametrize(
    ("name", "value"), [("MAX_ROWS", "0"), ("STALL_S", "nan"), ("DEVICE", "tpu"), ("MAX_QUEUED", "-1")]
)
def test_bad_settings_stop_the_service(name: str, value: str) -> None:
    with pytest.raises(SettingsError):
        load(Settings, "ACESTEP_LM", {"ACESTEP_LM_MODELS": "/m", f"ACESTEP_LM_{name}": value})
