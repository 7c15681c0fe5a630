"""What vLLM's worker needs from us: reading the released checkpoints, and telling what it counted.

Their tensors are named as in the bare network.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from lm_service.guidance.processor import GuidedProcessor

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
    """Mixed into vLLM's worker, which imports this module for it and so registers the loader."""

    model_runner: Any

    def mask_counts(self) -> dict[str, int]:
        """What `GuidedProcessor` counted, by kind of mask."""
        processors = self.model_runner.input_batch.logitsprocs.non_argmax_invariant
        return dict(next(item.mask_counts for item in processors if isinstance(item, GuidedProcessor)))
