"""How much memory the models take that a service is told to load, before any of it is taken."""

from pathlib import Path

import torch

from dit_service import layout
from dit_service.checkpoint import CheckpointError
from dit_service.network.recordings import desk_bytes
from dit_service.network.sizes import sizes


def needed_bytes(
    models: Path, names: tuple[str, ...], dtype: torch.dtype, recorded: bool
) -> dict[str, int]:
    """By part, what they share and what their recorded passes read from included.

    Files that are missing are complained of when they are read.
    """
    shared = layout.shared(models, names[0])
    files = {name: layout.weight_files(models / name) for name in names}
    files |= {
        "text encoder": sorted(shared.text_encoder.glob("*.safetensors")),
        "audio codec": sorted(shared.vae.glob("*.safetensors")),
    }
    needed = {name: dtype.itemsize * layout.parameter_count(paths) for name, paths in files.items()}
    if recorded:
        for name in filter(files.get, names):
            needed[f"recordings of {name}"] = desk_bytes(sizes(layout.config(models / name)), dtype)
    return needed


def refuse_unless_they_fit(needed: dict[str, int], available: int) -> None:
    """Raises `CheckpointError` for models that take more than `available` bytes together."""
    if (total := sum(needed.values())) <= available:
        return
    parts = ", ".join(f"{name} {_shown(size)}" for name, size in needed.items())
    raise CheckpointError(
        f"the models need {_shown(total)} ({parts}), and {_shown(available)} are there for them:"
        " load fewer (loaded_models), or allow more (max_model_memory)"
    )


def _shown(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.2f} MiB"
