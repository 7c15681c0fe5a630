"""A checkpoint is read completely, or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dit_service.checkpoint import CheckpointError
from dit_service.networks import load_dit
from dit_service.text_encoder import TextEncoder
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS

TURBO = "acestep-v15-turbo"
XL = "acestep-v15-xl-turbo"


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        return shutil.copytree(CHECKPOINTS / name, tmp_path / name)

    return make


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["decoder.layers.1.cross_attn.q_norm.weight"]


def add(tensors: dict[str, Tensor]) -> None:
    tensors["decoder.layers.9.mlp.up_proj.weight"] = torch.zeros(2)


def misshape(tensors: dict[str, Tensor]) -> None:
    tensors["null_condition_emb"] = torch.zeros(1, 1, 3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (drop, r"tensor decoder\.layers\.1\.cross_attn\.q_norm\.weight is missing"),
        (add, r"tensor decoder\.layers\.9\.mlp\.up_proj\.weight is not expected"),
        (misshape, r"tensor null_condition_emb is \[1, 1, 3\]; .* \[1, 1, 64\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    copy: Callable[[str], Path], change: Callable[[dict[str, Tensor]], None], complaint: str
) -> None:
    folder = copy(TURBO)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(CheckpointError, match=f"{TURBO}: {complaint}"):
        load_dit(folder, CPU, torch.float32)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (TURBO, "silence_latent.pt"),
        (TURBO, "config.json"),
        (TURBO, "model.safetensors"),
        (XL, "model-00002-of-00002.safetensors"),
    ],
)
def test_a_missing_file_is_named(copy: Callable[[str], Path], name: str, file: str) -> None:
    folder = copy(name)
    (folder / file).unlink()

    with pytest.raises(CheckpointError, match=file):
        load_dit(folder, CPU, torch.float32)


def test_a_configuration_without_a_needed_value_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy(TURBO)
    config = json.loads((folder / "config.json").read_text())
    del config["timbre_fix_frame"]
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(CheckpointError, match="timbre_fix_frame"):
        load_dit(folder, CPU, torch.float32)


def test_the_code_book_is_as_large_as_its_levels_say() -> None:
    assert load_dit(CHECKPOINTS / TURBO, CPU, torch.float32).code_count == 8 * 8 * 8 * 5 * 5 * 5


def test_an_incomplete_text_encoder_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("Qwen3-Embedding-0.6B")
    tensors = load_file(folder / "model.safetensors")
    del tensors["norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(CheckpointError, match=r"norm\.weight"):
        TextEncoder.load(folder, CPU, torch.float32)
