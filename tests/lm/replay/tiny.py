"""Vectors that were recorded on a tiny model: they are properties, not strings. Spec lm.md 4.6 and 4.7."""

import random
from collections.abc import Callable
from typing import Any

import torch

from lm_service import parse
from lm_service.chooser import Chooser
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling
from lm_service.seat import Seat, Track
from tests.lm.replay.world import ABSENT, Replayed, Vector, World

GIVEN = (("bpm", "100"), ("duration", "3"), ("keyscale", "C major"), ("timesignature", "4"))
PLAN_NAMES = ("bpm", "duration", "keyscale", "timesignature")


def batch_engine(world: World, vector: Vector) -> Replayed:
    given, expected = vector["input"], vector["expected"]
    target = given.get("target_duration")
    outline = Outline(phase=Phase.CODES, code_count=None if target is None else int(5 * target))
    limit = min(outline.code_count or 3000, given.get("max_tokens", 3000))
    ends = given.get("item_wants_eos_after") or [None] * given["items"]
    end = world.vocabulary.end_of_turn

    def item(wants_end_after: int | None) -> int:
        draw = random.Random(wants_end_after)

        def choose(allowed: set[int], output: list[int]) -> int:
            if wants_end_after == len(output) and end in allowed:
                return end
            return draw.choice(sorted(allowed - {end}) or [end])

        return len([token for token in world.written(outline, choose, limit) if token != end])

    return Replayed({"codes": [item(end) for end in ends]}, {"codes": expected["codes_per_item"]})


def tiny_model(world: World, vector: Vector) -> Replayed:
    given, expected = vector["input"], vector["expected"]
    properties: dict[str, Callable[[], Any]] = {
        "Y01": lambda: _one_song(world),
        "Y02": lambda: [len(_codes(world, seed)) for seed in given["seeds"]],
        "Y03": lambda: _places(world, given),
        "Y04": lambda: _repeats(world, given["seeds"] * 2, temperature=0.85),
        "Y05": lambda: _repeats(world, [1, 2], temperature=0.0) | {"codes": len(_codes(world, 1, 0.0))},
        "Y06": lambda: _incomplete(world, given["runs"], ("caption", "language")) == 0,
        "Y07": lambda: _incomplete(world, given["runs"], ()),
    }
    facts = properties.get(vector["id"], lambda: ABSENT)
    return Replayed({"result": facts()}, {"result": expected})


def _write(world: World, outline: Outline, sampling: Sampling, limit: int) -> list[int]:
    """Tokens of a model of random weights, whose scores depend on the last token and the place."""
    chooser, output = Chooser(world.grammar, torch.device("cpu")), list[int]()
    track = Track(world.grammar, outline, sampling, 2.0, output)
    while len(output) < limit and world.vocabulary.end_of_turn not in output[-1:]:
        weights = torch.Generator().manual_seed(1000 * len(output) + (output[-1] if output else 0))
        scores = 4 * torch.randn(2, world.vocabulary.size, generator=weights)
        output.append(int(chooser.choose(scores, [Seat(track, 0, 1)])))
    return output


def _codes(world: World, seed: int, temperature: float = 0.85) -> list[int]:
    outline = Outline(phase=Phase.CODES, code_count=15)
    return _write(world, outline, Sampling(temperature=temperature, top_p=0.9, seed=seed), 15)


def _repeats(world: World, seeds: list[int], temperature: float) -> dict[str, Any]:
    first, second = (_codes(world, seed, temperature) for seed in seeds)
    return {"two_calls_equal": first == second}


def _one_song(world: World) -> dict[str, Any]:
    outline = Outline(phase=Phase.PLAN, fixed=GIVEN, skipped=("caption", "language"))
    plan = _write(world, outline, Sampling(temperature=0.85), 200)
    fields: dict[str, Any] = dict(parse.fields(world.vocabulary.decode(plan)))
    metadata = fields | {name: int(fields[name]) for name in ("bpm", "duration")}
    return {"success": True, "codes": len(_codes(world, 1)), "metadata": metadata}


def _places(world: World, given: Vector) -> dict[str, bool]:
    first, second = ([_codes(world, seed) for seed in given[name]] for name in ("first", "second"))
    return {
        "item0_equals_item2_in_first": first[0] == first[2],
        "seed5_same_in_both": first[0] == second[1],
        "seed6_same_in_both": first[1] == second[0],
        "different_seeds_differ": first[0] != first[1],
    }


def _incomplete(world: World, runs: int, skipped: tuple[str, ...]) -> int:
    """How many of `runs` plans miss a field or hold one that is out of range."""
    missed = 0
    for seed in range(runs):
        outline = Outline(phase=Phase.PLAN, skipped=skipped)
        output = _write(world, outline, Sampling(temperature=0.85, seed=seed), 3500)
        read = parse.metadata(world.vocabulary.decode(output))
        names = PLAN_NAMES if skipped else (*PLAN_NAMES, "caption", "language")
        missed += any(read.text(name) is None for name in names)
    return missed
