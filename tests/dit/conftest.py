"""Fixtures: the golden checkpoints, read once by the real loader."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from common.revision import of_checkpoint
from dit_service.networks import DitNetworks, load_dit, load_vae
from dit_service.text_encoder import TextEncoder
from dit_service.vae import Vae
from tests.dit.golden import CHECKPOINTS

CPU = torch.device("cpu")

Networks = Callable[[str], DitNetworks]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def networks() -> Networks:
    @cache
    def load(name: str) -> DitNetworks:
        return load_dit(CHECKPOINTS / name, CPU, torch.float32)

    return load


@pytest.fixture(scope="session")
def vae() -> Vae:
    folder = CHECKPOINTS / "vae"
    return Vae(of_checkpoint(folder), load_vae(folder, CPU, torch.float32))


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    return TextEncoder.load(CHECKPOINTS / "Qwen3-Embedding-0.6B", CPU, torch.float32)
