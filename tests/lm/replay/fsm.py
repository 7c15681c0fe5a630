"""Vectors about constrained decoding. Spec lm.md 3."""

from typing import Any

from lm_service.metadata import PLAN_FIELDS
from lm_service.outline import Outline, Phase
from lm_service.writer import Writer
from tests.lm.replay.world import ABSENT, Replayed, Vector, World

PHASES = {"cot": Phase.PLAN, "codes": Phase.CODES, "understand": Phase.TEXT}


def allowed(world: World, vector: Vector) -> Replayed:
    expected = vector["expected"]
    writer = Writer(world.grammar, outline_of(vector["config"]))
    ours: Any
    try:
        writer.advance(_split_our_way(world, vector["emitted_ids"]))
        ours = world.allowed(writer)
    except ValueError:
        ours = ABSENT  # the grammar never lets it come so far
    return Replayed({"allowed": ours}, {"allowed": _expected(world, expected)})


def _expected(world: World, expected: Vector) -> set[int]:
    everything, end = set(range(world.vocabulary.size)), world.vocabulary.end_of_turn
    if expected["kind"] == "all":
        return everything
    if expected["kind"] == "all_except":
        blocked = set(expected["also_blocked_ids"])
        return (
            everything - blocked - (world.valid_codes if expected["blocked_valid_audio_codes"] else set())
        )
    if expected["kind"] == "valid_audio_codes_only":
        return world.valid_codes
    if expected["kind"] == "valid_audio_codes_and_eos":
        return world.valid_codes | {end}
    (ids,) = [value for key, value in expected.items() if key.endswith("ids")]
    return set(ids)


def outline_of(config: Vector) -> Outline:
    phase = PHASES[config.get("generation_phase", "cot")]
    if phase is Phase.PLAN and not config.get("stop_at_reasoning"):
        phase = Phase.TEXT  # the block is closed by its tag; ours is closed so in text only
    target = config.get("target_duration") or -1
    fixed = {name: str(value) for name, value in (config.get("user_metadata") or {}).items()}
    return Outline(
        phase=phase,
        fixed=tuple(fixed.items()),
        skipped=tuple(name for name in PLAN_FIELDS if config.get(f"skip_{name}")),
        code_count=int(5 * target) if target > 0 else None,
        constrained=config.get("enabled", True),
    )


def _split_our_way(world: World, emitted: list[int]) -> list[int]:
    """`emitted` with the names of fields split as the tokenizer splits them, not by longest prefixes."""
    text = f",{','.join(map(str, emitted))},"
    encode = world.vocabulary.encode
    for name in PLAN_FIELDS:
        theirs, rest = list[int](), f"{name}:"
        while rest:
            taken = next(n for n in range(len(rest), 0, -1) if len(encode(rest[:n])) == 1)
            theirs += encode(rest[:taken])
            rest = rest[taken:]
        text = text.replace(
            f",{','.join(map(str, theirs))},", f",{','.join(map(str, encode(f'{name}:')))},"
        )
    return [int(token) for token in text.split(",") if token]


def temperature(world: World, vector: Vector) -> Replayed:
    if "error_type" in vector["expected"]:
        try:
            Phase(vector["input"])
        except ValueError as error:
            return Replayed(
                {"refused": type(error).__name__}, {"refused": vector["expected"]["error_type"]}
            )
    return Replayed({"scores": ABSENT}, {"scores": vector["expected"]})


def traces(world: World, vector: Vector) -> Replayed:
    wanted, expected = world.vocabulary.encode(vector["wanted_text"]), vector["expected"]

    def choose(allowed: set[int], output: list[int]) -> int:
        rest = wanted[len(output) :] if wanted[: len(output)] == tuple(output) else ()
        return rest[0] if rest and rest[0] in allowed else min(allowed)

    # The number of tokens may differ where the names of fields are split our way.
    output = world.written(outline_of(vector["config"]), choose, limit=2 * expected["tokens"] + 50)
    text = world.vocabulary.decode(output)
    return Replayed({"text": text}, {"text": expected["text"]})
