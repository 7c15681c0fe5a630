"""Random walks through the grammar; `make walks` takes more of them."""

from pathlib import Path

import pytest

from tests.lm.walks import MODES, Walker, walk_mode, walkers

COUNT = 150


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Walker]:
    folder: Path = tmp_path_factory.mktemp("walks")
    return walkers(folder)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tokenizer", ["vectors", "tiny family"])
def test_random_walks_end_and_are_read_as_they_were_drawn(
    both: dict[str, Walker], tokenizer: str, mode: str
) -> None:
    assert walk_mode(both[tokenizer], mode, COUNT) > COUNT
