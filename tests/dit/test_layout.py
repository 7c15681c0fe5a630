"""A checkpoint in the layout of diffusers' AceStepPipeline is the checkpoint it was made from.

The pipelines are written by diffusers' own modules, from the golden checkpoints.
"""

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)

from dit_service import layout
from dit_service.checkpoint import CheckpointError, published_name, read_silence, read_tensors
from dit_service.engine import Song, Task
from dit_service.networks import load_dit
from dit_service.torch_engine import TorchEngine
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS
from tests.dit.jobs import JOB

MODULES = {
    "transformer": AceStepTransformer1DModel,
    "condition_encoder": AceStepConditionEncoder,
    "audio_tokenizer": AceStepAudioTokenizer,
    "audio_token_detokenizer": AceStepAudioTokenDetokenizer,
}


def write_pipeline(source: Path, target: Path) -> None:
    """What diffusers makes of the published checkpoint in `source`."""
    given = json.loads((source / "config.json").read_text())
    tensors = read_tensors(source) | {"encoder.silence_latent": read_silence(source)}
    widths = {key: given.get(f"encoder_{key}", given[key]) for key in layout.ENCODER_WIDTHS}
    for name, module_type in MODULES.items():
        known = inspect.signature(module_type).parameters
        sizes: dict[str, Any] = {key: value for key, value in given.items() if key in known}
        if name == "transformer":
            sizes["encoder_hidden_size"] = widths["hidden_size"]
        else:
            sizes |= widths | {"layer_types": None}
        module = module_type(**sizes)
        prefix = layout.COMPONENTS[name]
        state = {key: tensors[published_name(f"{prefix}{key}")] for key in module.state_dict()}
        module.load_state_dict(state, strict=True)
        module.save_pretrained(target / name)
    (target / layout.PIPELINE_FILE).write_text(json.dumps({"_class_name": "AceStepPipeline"}))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pipelines; the first holds all that it works with."""
    folder = tmp_path_factory.mktemp("pipelines")
    with torch.inference_mode(False):
        for name in ("turbo", "xl"):
            write_pipeline(CHECKPOINTS / MODELS[name], folder / name)
    shutil.copytree(CHECKPOINTS / "vae", folder / "turbo" / "vae")
    encoder = folder / "turbo" / "text_encoder"
    shutil.copytree(CHECKPOINTS / "Qwen3-Embedding-0.6B", encoder)
    (folder / "turbo" / "tokenizer").mkdir()
    (encoder / "tokenizer.json").rename(folder / "turbo" / "tokenizer" / "tokenizer.json")
    return folder


@pytest.mark.parametrize("name", ["turbo", "xl"])
def test_a_pipeline_renders_the_very_samples_of_its_checkpoint(models: Path, name: str) -> None:
    published = TorchEngine.load(CHECKPOINTS, (MODELS[name],), "cpu")
    pipelines = TorchEngine.load(models, ("turbo", "xl"), "cpu")
    for job in (JOB, replace(JOB, task=Task.COVER, audio_codes=tuple(range(30)))):
        *_, expected = published.render(replace(job, model=MODELS[name]))

        *_, song = pipelines.render(replace(job, model=name))

        assert isinstance(song, Song)
        assert isinstance(expected, Song)
        np.testing.assert_array_equal(song.waveform, expected.waveform)
    card = next(card for card in pipelines.models if card.revision.name == name)
    assert card.is_turbo
    assert card.revision.revision.startswith("sha256:")


def test_an_xl_pipeline_keeps_its_special_token(models: Path) -> None:
    assert layout.read(models / "xl").config.has_own_encoder_width
    assert not layout.read(models / "turbo").config.has_own_encoder_width


def test_pipelines_of_two_models_have_revisions_of_their_own(models: Path) -> None:
    first, second = (load_dit(models / name, CPU, torch.float32).revision for name in ("turbo", "xl"))

    assert first.revision != second.revision


@pytest.mark.parametrize(
    "missing",
    ["transformer/config.json", "audio_tokenizer", "condition_encoder/diffusion_pytorch_model.safetensors"],
)
def test_an_incomplete_pipeline_is_refused_by_the_name_of_its_part(
    models: Path, tmp_path: Path, missing: str
) -> None:
    copy = shutil.copytree(models / "xl", tmp_path / "xl")
    part = copy / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()

    with pytest.raises(CheckpointError, match=missing.split("/", maxsplit=1)[0]):
        load_dit(copy, CPU, torch.float32)
