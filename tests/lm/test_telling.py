"""When the tokens of a request are told. Nothing of vLLM's runs here but its messages."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from lm_service import vllm_environment
from lm_service.generation import PROGRESS_TOKENS

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
    ),
]


@dataclass
class Steps:
    """Steps of an engine at a clock that the test moves, and what each told."""

    now: float = 100.0
    told: list[tuple[str, list[int]]] = field(default_factory=list)
    clients: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        vllm_environment.prepare(cpu_threads=1)
        self.module = importlib.import_module("lm_service.guidance.telling")
        self.messages = importlib.import_module("vllm.v1.engine")
        self.telling = self.module.Telling(lambda: self.now)

    def step(self, *items: Any, client: int = 0, seconds: float = 0.003, **about: Any) -> int:
        """How many messages a step with `items` sent."""
        self.now += seconds
        written = {client: self.messages.EngineCoreOutputs(outputs=list(items), **about)}
        self.telling.choose(written)
        for receiver, outputs in written.items():
            self.clients.append(receiver)
            self.told += [(item.request_id, item.new_token_ids) for item in outputs.outputs]
        return len(written)

    def item(self, name: str, tokens: Sequence[int], **about: Any) -> Any:
        return self.messages.EngineCoreOutput(request_id=name, new_token_ids=list(tokens), **about)


@pytest.fixture
def steps() -> Steps:
    return Steps()


def test_the_first_token_is_told_at_once_then_as_many_as_callers_get_together(steps: Steps) -> None:
    messages = [steps.step(steps.item("song", [code])) for code in range(40)]

    assert [place for place, count in enumerate(messages) if count] == [0, 15, 31]
    assert steps.told == [
        ("song", [0]),
        ("song", list(range(1, 16))),
        ("song", list(range(16, 32))),
    ]
    assert PROGRESS_TOKENS % steps.module.TOGETHER == 0, "callers would wait for tokens that are written"


def test_the_end_of_a_request_is_told_with_all_that_was_held_back(steps: Steps) -> None:
    for code in range(5):
        steps.step(steps.item("song", [code]))

    steps.step(steps.item("song", [5], finish_reason=steps.messages.FinishReason.LENGTH))

    assert steps.told == [("song", [0]), ("song", [1, 2, 3, 4, 5])]
    assert steps.step(seconds=10.0) == 0, "of a request that has ended there is nothing more to tell"


def test_no_token_waits_longer_than_a_tenth_of_a_second_even_if_its_request_stands_still(
    steps: Steps,
) -> None:
    for name, client in (("preempted", 1), ("other", 0)):
        steps.step(steps.item(name, [0]), client=client)
    steps.step(steps.item("preempted", [1]), client=1)
    steps.step(steps.item("preempted", [2]), client=1)
    steps.told.clear()
    steps.clients.clear()

    for code in range(1, 7):
        steps.step(steps.item("other", [code]), seconds=0.03)

    assert steps.told == [("preempted", [1, 2]), ("other", [1, 2, 3, 4, 5])]
    assert steps.clients == [1, 0]


def test_a_preemption_is_told_at_once(steps: Steps) -> None:
    """The service counts them by their events."""
    event = steps.messages.EngineCoreEvent.new_event(steps.messages.EngineCoreEventType.PREEMPTED)
    for code in range(3):
        steps.step(steps.item("song", [code]))

    steps.step(steps.item("song", [3], events=[event]))

    assert steps.told == [("song", [0]), ("song", [1, 2, 3])]


def test_of_a_request_that_was_left_nothing_is_told_later(steps: Steps) -> None:
    for code in range(3):
        steps.step(steps.item("song", [code]))

    steps.telling.forget("song")

    assert steps.step(seconds=10.0) == 0
    assert steps.told == [("song", [0])]


def test_a_step_is_told_if_it_has_figures_or_ends_of_requests(steps: Steps) -> None:
    metrics = importlib.import_module("vllm.v1.metrics.stats")

    assert steps.step(scheduler_stats=metrics.SchedulerStats()) == 1
    assert steps.step(finished_requests={"song"}) == 1
    assert steps.step() == 0


def test_figures_are_told_when_requests_come_or_go_and_now_and_then(steps: Steps) -> None:
    assert steps.telling.wants_stats((2, 0))
    steps.now += 0.1
    assert not steps.telling.wants_stats((2, 0))
    assert steps.telling.wants_stats((0, 0))
    steps.now += 0.2
    assert not steps.telling.wants_stats((0, 0))
    steps.now += 0.1
    assert steps.telling.wants_stats((0, 0))
