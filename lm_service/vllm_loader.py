"""Let vLLM read the released checkpoints, whose tensors are named as in the bare network."""

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import nn
from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

LOAD_FORMAT = "acestep"


@register_model_loader(LOAD_FORMAT)
class BareNamesLoader(DefaultModelLoader):  # type: ignore[misc]
    """Adds the leading `model.` where it is missing. Source: spec lm.md 1.1."""

    def __init__(self, load_config: LoadConfig) -> None:
        super().__init__(replace(load_config, load_format="safetensors"))

    def get_all_weights(
        self, model_config: ModelConfig, model: nn.Module
    ) -> Generator[tuple[str, torch.Tensor], None, None]:
        for name, tensor in super().get_all_weights(model_config, model):
            whole = name.startswith(("model.", "lm_head."))
            yield (name if whole else f"model.{name}"), tensor


class WorkerExtension:
    """Adds nothing: naming it makes vLLM's worker import this module, which registers the loader."""
