"""What a models folder holds, and whether it is enough to start the services.

A DiT may lie there in the layout of diffusers' AceStepPipeline, its text encoder and codec within.
Source: spec dit.md 1.4.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.revision import REVISION_FILE
from model_store.released import Kind

NAMES = {
    "acestep-5Hz-lm-": Kind.LM,
    "acestep-v15-": Kind.DIT,
    "vae": Kind.VAE,
    "Qwen3-Embedding-": Kind.TEXT_ENCODER,
}
"""How the names of checkpoint folders begin."""

WEIGHTS = {
    Kind.LM: "model.safetensors",
    Kind.DIT: "model.safetensors",
    Kind.VAE: "diffusion_pytorch_model.safetensors",
    Kind.TEXT_ENCODER: "model.safetensors",
}
OTHER_FILES = {
    Kind.LM: ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
    Kind.DIT: ("config.json", "silence_latent.pt"),
    Kind.VAE: ("config.json",),
    Kind.TEXT_ENCODER: ("config.json", "tokenizer.json", "tokenizer_config.json"),
}

PIPELINE_FILE = "model_index.json"
PIPELINE_PARTS = {
    Kind.DIT: ("transformer", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer"),
    Kind.VAE: ("vae",),
    Kind.TEXT_ENCODER: ("text_encoder", "tokenizer"),
}
PIPELINE_WEIGHTS = {"text_encoder": "model.safetensors"}
PIPELINE_FILES = {"tokenizer": ("tokenizer.json", "tokenizer_config.json")}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One folder of a models folder, or a part of one that is a pipeline."""

    name: str
    kind: Kind
    size_bytes: int
    revision: str | None
    """The commit it was fetched at; none for checkpoints that came otherwise."""
    missing: tuple[str, ...]
    """Files that a service would ask for in vain; empty when the checkpoint is complete."""


def of_folder(models: Path) -> list[Checkpoint]:
    """By name; empty if there is no such folder."""
    if not models.is_dir():
        return []
    found: list[Checkpoint] = []
    for path in sorted(path for path in models.iterdir() if path.is_dir()):
        if (path / PIPELINE_FILE).is_file():
            found += _of_pipeline(path)
        elif kind := _kind(path.name):
            found.append(_checkpoint(path, kind))
    return found


def lacking(checkpoints: list[Checkpoint]) -> list[Kind]:
    """The kinds of which no complete checkpoint is there; a system needs one of each."""
    complete = {checkpoint.kind for checkpoint in checkpoints if not checkpoint.missing}
    return [kind for kind in Kind if kind not in complete]


def codec_config(models: Path, dit: str) -> Path:
    """The file that says how large the code book of the DiT `dit` is."""
    folder = models / dit
    part = folder / "audio_tokenizer" if (folder / PIPELINE_FILE).is_file() else folder
    return part / "config.json"


def _kind(name: str) -> Kind | None:
    return next((kind for start, kind in NAMES.items() if name.startswith(start)), None)


def _checkpoint(folder: Path, kind: Kind) -> Checkpoint:
    missing = _missing(folder, OTHER_FILES[kind]) + _missing_weights(folder, WEIGHTS[kind])
    return Checkpoint(folder.name, kind, _size(folder), _revision(folder), tuple(missing))


def _of_pipeline(folder: Path) -> Iterator[Checkpoint]:
    """Its DiT, and what it brings along for it; a text encoder or codec that is not there is not told."""
    for kind, names in PIPELINE_PARTS.items():
        parts = [folder / name for name in names]
        if kind is not Kind.DIT and not parts[0].is_dir():
            continue
        missing = [f"{part.name}/{name}" for part in parts for name in _missing_of_part(part)]
        name = folder.name if kind is Kind.DIT else f"{folder.name}/{names[0]}"
        yield Checkpoint(name, kind, sum(map(_size, parts)), _revision(folder), tuple(missing))


def _missing_of_part(part: Path) -> list[str]:
    if part.name in PIPELINE_FILES:
        return _missing(part, PIPELINE_FILES[part.name])
    weights = PIPELINE_WEIGHTS.get(part.name, WEIGHTS[Kind.VAE])
    return _missing(part, ("config.json",)) + _missing_weights(part, weights)


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not (folder / name).is_file()]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _revision(folder: Path) -> str | None:
    marker = folder / REVISION_FILE
    return marker.read_text().strip() if marker.is_file() else None


def _missing_weights(folder: Path, single: str) -> list[str]:
    """Weights are one file, or an index beside the parts that it names; a single file wins."""
    index = folder / f"{single}.index.json"
    if (folder / single).is_file():
        return []
    if not index.is_file():
        return [single]
    parts = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return [part for part in parts if not (folder / part).is_file()]
