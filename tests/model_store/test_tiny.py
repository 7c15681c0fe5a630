"""The tiny family has the released layout, and the libraries load and run it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderOobleck
from safetensors import safe_open
from transformers import AutoTokenizer, Qwen3ForCausalLM, Qwen3Model

from model_store.tiny import LANGUAGE_MODEL, build

GOLDEN = Path(__file__).parent.parent / "golden" / "dit" / "ckpt"
WEIGHTS = {
    "acestep-v15-turbo": "model.safetensors",
    "acestep-v15-base": "model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "Qwen3-Embedding-0.6B": "model.safetensors",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny / LANGUAGE_MODEL)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def config(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return read


def test_the_same_seed_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    build(tmp_path / "again")

    assert contents(tmp_path / "again") == contents(tiny)


def test_another_seed_gives_other_weights_of_the_same_layout(tiny: Path, tmp_path: Path) -> None:
    build(tmp_path / "other", seed=1)

    ours, others = contents(tiny), contents(tmp_path / "other")
    changed = {Path(name).name for name in ours if ours[name] != others[name]}
    assert ours.keys() == others.keys()
    assert changed == {*WEIGHTS.values(), "silence_latent.pt", "MODEL_CARD.md"}


def test_the_family_is_small(tiny: Path) -> None:
    assert sum(len(content) for content in contents(tiny).values()) < 8_000_000


def test_a_family_is_never_overwritten(tiny: Path) -> None:
    with pytest.raises(FileExistsError):
        build(tiny)


@pytest.mark.parametrize(("name", "file"), WEIGHTS.items())
def test_tensors_are_named_and_shaped_as_in_the_original_layout(tiny: Path, name: str, file: str) -> None:
    ours, original = shapes(tiny / name / file), shapes(GOLDEN / name / file)

    assert ours.keys() == original.keys()
    assert {name: len(shape) for name, shape in ours.items()} == {
        name: len(shape) for name, shape in original.items()
    }


@pytest.mark.parametrize("name", WEIGHTS)
def test_configs_have_every_key_of_the_original(tiny: Path, name: str) -> None:
    remote_code = {"auto_map"}

    assert config(GOLDEN / name).keys() - remote_code <= config(tiny / name).keys()


def test_silence_is_a_plain_tensor_of_ten_minutes(tiny: Path) -> None:
    silence = torch.load(tiny / "acestep-v15-turbo" / "silence_latent.pt", weights_only=True)

    assert silence.shape == (1, config(tiny / "vae")["decoder_input_channels"], 15_000)
    assert silence.is_contiguous()


def test_there_are_more_code_tokens_than_codes(tiny: Path, tokenizer: Any) -> None:
    codes = math.prod(config(tiny / "acestep-v15-turbo")["fsq_input_levels"])
    first = tokenizer.convert_tokens_to_ids("<|audio_code_0|>")
    tokens = len(tokenizer) - first

    assert codes < tokens
    assert tokenizer.convert_tokens_to_ids(f"<|audio_code_{tokens - 1}|>") == first + tokens - 1
    assert config(tiny / LANGUAGE_MODEL)["vocab_size"] == len(tokenizer)


def test_text_is_split_as_the_released_tokenizer_splits_it(tokenizer: Any) -> None:
    tokens = tokenizer.tokenize("bpm: 120\nkeyscale: F# minor\nlanguage: yue\n</think>\n\n<|audio_code_7|>")

    words = "bpm : Ġ 1 2 0 Ċ keyscale : ĠF # Ġminor Ċ language : Ġyue Ċ </think> ĊĊ <|audio_code_7|>"
    assert tokens == words.split()


def test_the_chat_template_opens_the_answer(tokenizer: Any) -> None:
    messages = [{"role": "system", "content": "S\n\n"}, {"role": "user", "content": " U "}]

    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    assert text == (
        "<|im_start|>system\nS\n\n<|im_end|>\n<|im_start|>user\n U <|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_chat_template_closes_a_thought(tokenizer: Any) -> None:
    messages = [
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "<think>\na: b\n</think>\nC"},
    ]

    text = tokenizer.apply_chat_template(messages, tokenize=False)

    assert text == (
        "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n<think>\na: b\n</think>\n\nC<|im_end|>\n"
    )


def test_the_text_encoder_ends_every_text_with_its_end_token(tiny: Path) -> None:
    encoder = AutoTokenizer.from_pretrained(tiny / "Qwen3-Embedding-0.6B")
    end = encoder.convert_tokens_to_ids("<|endoftext|>")

    ids = encoder("warm piano<|endoftext|>\n").input_ids

    assert ids[-1] == end
    assert ids.count(end) == 2
    assert (encoder.padding_side, encoder.pad_token_id) == ("left", end)
    assert Qwen3Model.from_pretrained(tiny / "Qwen3-Embedding-0.6B").config.vocab_size == len(encoder)


def test_the_language_model_prefers_one_token_clearly(tiny: Path, tokenizer: Any) -> None:
    model: Any = Qwen3ForCausalLM.from_pretrained(tiny / LANGUAGE_MODEL, dtype=torch.float32)
    prompt = tokenizer("<|im_start|>user\n# Caption\na warm piano ballad", return_tensors="pt")

    written = model.generate(
        **prompt, max_new_tokens=60, do_sample=False, output_logits=True, return_dict_in_generate=True
    )

    best = torch.stack(written.logits).topk(2).values
    assert len(set(written.sequences[0].tolist())) > 20, "the text only repeats itself"
    assert (best[..., 0] - best[..., 1]).min() > 1e-4


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # diffusers still uses it
def test_the_vae_makes_a_sound_of_a_sane_level(tiny: Path) -> None:
    vae = AutoencoderOobleck.from_pretrained(tiny / "vae", low_cpu_mem_usage=False)
    latents = torch.randn(1, 8, 250, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        sound = vae.decode(latents).sample
        again = vae.encode(sound).latent_dist.mean

    assert sound.shape == (1, 2, 480_000)
    assert 0.02 < sound.std() < 0.3
    assert again.shape == latents.shape
    assert again.isfinite().all()
