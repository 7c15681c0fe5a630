"""What vLLM is told before it is imported."""

import os

import pytest

from lm_service import vllm_environment


@pytest.mark.parametrize(("asked", "told"), [(True, "1"), (False, "0")])
def test_batch_invariance_is_only_on_if_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: bool, told: str
) -> None:
    """Whatever the machine's environment says, which is put back afterwards."""
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "whatever")

    vllm_environment.prepare(cpu_threads=1, batch_invariant=asked)

    assert os.environ["VLLM_BATCH_INVARIANT"] == told  # noqa: TID251  (vLLM reads nothing else)
