"""What a models folder holds, and whether it is enough to start the services."""

import json
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


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One folder of a models folder."""

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
    kinds = {path: _kind(path.name) for path in sorted(models.iterdir()) if path.is_dir()}
    return [_checkpoint(path, kind) for path, kind in kinds.items() if kind is not None]


def lacking(checkpoints: list[Checkpoint]) -> list[Kind]:
    """The kinds of which no complete checkpoint is there; a system needs one of each."""
    complete = {checkpoint.kind for checkpoint in checkpoints if not checkpoint.missing}
    return [kind for kind in Kind if kind not in complete]


def _kind(name: str) -> Kind | None:
    return next((kind for start, kind in NAMES.items() if name.startswith(start)), None)


def _checkpoint(folder: Path, kind: Kind) -> Checkpoint:
    marker = folder / REVISION_FILE
    missing = [name for name in OTHER_FILES[kind] if not (folder / name).is_file()]
    missing += _missing_weights(folder, WEIGHTS[kind])
    return Checkpoint(
        folder.name,
        kind,
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        marker.read_text().strip() if marker.is_file() else None,
        tuple(missing),
    )


def _missing_weights(folder: Path, single: str) -> list[str]:
    """Weights are one file, or an index beside the parts that it names; a single file wins."""
    index = folder / f"{single}.index.json"
    if (folder / single).is_file():
        return []
    if not index.is_file():
        return [single]
    parts = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return [part for part in parts if not (folder / part).is_file()]
