"""Replay a file of vectors through the product, and tell passed, departed and failed apart."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.lm.replay import fsm, public, sampling, songs, texts, tiny
from tests.lm.replay.departures import DEPARTURES, Departure
from tests.lm.replay.world import Adapter, Replayed, Vector, World

ADAPTERS: dict[str, Adapter] = {
    "prompts": texts.prompts,
    "cot_text": texts.cot_text,
    "parse_output": texts.parse_output,
    "extract_lyrics": texts.extract_lyrics,
    "small_helpers": texts.small_helpers,
    "fsm_allowed": fsm.allowed,
    "fsm_temperature": fsm.temperature,
    "fsm_traces": fsm.traces,
    "sampling": sampling.sampling,
    "batch_engine": tiny.batch_engine,
    "engine_calls": sampling.engine_calls,
    "decisions": songs.decisions,
    "decisions_newer_upstream": songs.decisions,
    "max_new_tokens_newer_upstream": sampling.max_new_tokens,
    "seed_lists": songs.seed_lists,
    "public_calls": public.public_calls,
    "tiny_model": tiny.tiny_model,
}


class Verdict(StrEnum):
    PASSED = "passed"
    DEPARTED = "departed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one vector."""

    group: str
    vector: Vector
    verdict: Verdict
    departures: tuple[Departure, ...]
    """Why it may differ; one for each fact that does."""
    unexplained: dict[str, tuple[Any, Any]]
    """Facts that differ without a reason: ours and theirs."""

    @property
    def name(self) -> str:
        return str(self.vector["id"])


def read(path: Path) -> dict[str, list[Vector]]:
    """The groups of the file; `about` is dropped. Raises `ValueError` for a group nobody replays."""
    groups: dict[str, list[Vector]] = json.loads(path.read_text())
    groups.pop("about", None)
    if unknown := groups.keys() - ADAPTERS.keys():
        raise ValueError(f"no adapter replays the group {min(unknown)}")
    return groups


def replay(vectors: Path, tokenizer: Path) -> list[Outcome]:
    world = World(tokenizer, read(vectors))
    return [outcome(world, group, vector) for group, members in world.groups.items() for vector in members]


def outcome(
    world: World,
    group: str,
    vector: Vector,
    adapters: Mapping[str, Adapter] = ADAPTERS,
    departures: Sequence[Departure] = DEPARTURES,
) -> Outcome:
    try:
        replayed = adapters[group](world, vector)
    except (KeyError, IndexError, TypeError, ValueError) as error:  # of a form that no adapter knows
        replayed = Replayed({"replay": repr(error)}, {"replay": "a known form"})
    used: list[Departure] = []
    unexplained = {}
    for fact, theirs in replayed.theirs.items():
        ours = replayed.ours[fact]
        if ours == theirs:
            continue
        found = _departure(departures, group, vector, fact, ours, theirs)
        if found is None:
            unexplained[fact] = (ours, theirs)
        elif found not in used:
            used.append(found)
    verdict = Verdict.FAILED if unexplained else Verdict.DEPARTED if used else Verdict.PASSED
    return Outcome(group, vector, verdict, tuple(used), unexplained)


def _departure(
    departures: Sequence[Departure], group: str, vector: Vector, fact: str, ours: Any, theirs: Any
) -> Departure | None:
    for departure in departures:
        if group not in departure.groups or fact not in departure.facts:
            continue
        if vector["id"] in departure.ids or departure.when(vector, ours, theirs):
            return departure
    return None


def count(outcomes: Iterable[Outcome], verdict: Verdict) -> int:
    return sum(outcome.verdict is verdict for outcome in outcomes)
