"""Tokens are told several at a time: with many songs, telling each takes longer than writing it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs

TOGETHER = 16
"""After as many tokens the service tells its callers (`PROGRESS_TOKENS`), so they wait no longer."""

LONGEST_S = 0.1
"""So long a token waits for others, and to the end of the step."""

STATS_S = 0.25
"""So old are the scheduler's figures at most."""


@dataclass(slots=True)
class _Request:
    client: int
    count: int = 0
    """Its tokens so far."""
    untold: list[int] = field(default_factory=list)


class Telling:
    """Holds back tokens of requests until there are some, the first one and the last ones excepted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, _Request] = {}
        self._waiting: dict[str, float] = {}
        """Since when the requests wait that have untold tokens, the longest first."""
        self._counts = (0, 0)
        self._stats_at = 0.0

    def forget(self, name: str) -> None:
        """Nobody wants to know of `name` any more."""
        self._requests.pop(name, None)
        self._waiting.pop(name, None)

    def choose(self, written: dict[int, EngineCoreOutputs]) -> None:
        """Leave in a step's outputs, by client, what is told now."""
        now = self._clock()
        for client, outputs in written.items():
            outputs.outputs = [item for item in outputs.outputs if self._tells(item, client, now)]
        while self._waiting:
            name, since = next(iter(self._waiting.items()))
            if now - since < LONGEST_S:
                break
            outputs = written.setdefault(self._requests[name].client, EngineCoreOutputs(outputs=[]))
            outputs.outputs.append(EngineCoreOutput(request_id=name, new_token_ids=self._all(name, [])))
        for client in [client for client, outputs in written.items() if _is_empty(outputs)]:
            del written[client]

    def wants_stats(self, counts: tuple[int, int]) -> bool:
        """Whether a step tells the scheduler's figures: when its `counts` changed, and now and then."""
        now = self._clock()
        if counts == self._counts and now - self._stats_at < STATS_S:
            return False
        self._counts, self._stats_at = counts, now
        return True

    def _tells(self, item: EngineCoreOutput, client: int, now: float) -> bool:
        """Whether `item` is told now, with all that was held back; holds back its tokens if not."""
        name = item.request_id
        request = self._requests.get(name)
        if request is None:
            request = self._requests[name] = _Request(client)
        first, request.count = not request.count, request.count + len(item.new_token_ids)
        # Events are what preemptions are counted by.
        if first or item.finished or item.events or request.count % TOGETHER == 0:
            item.new_token_ids = self._all(name, item.new_token_ids)
            if item.finished:
                self.forget(name)
            return True
        request.untold += item.new_token_ids
        self._waiting.setdefault(name, now)
        return False

    def _all(self, name: str, last: list[int]) -> list[int]:
        request = self._requests[name]
        tokens, request.untold = [*request.untold, *last], []
        self._waiting.pop(name, None)
        return tokens


def _is_empty(outputs: EngineCoreOutputs) -> bool:
    return not outputs.outputs and outputs.scheduler_stats is None and not outputs.finished_requests
