"""Vectors about what becomes of a request for a song: seeds, calls, values. Spec lm.md 4.7 and 6."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.music.v1 import music_pb2
from common.errors import AceError
from gateway import planning, seeds
from gateway.request import Order, order
from lm_service import cot, parse, wire
from lm_service.vocabulary import CODE_PATTERN
from tests.lm.replay.world import ABSENT, Facts, Replayed, Vector, World

STUB = (
    "<think>\nbpm: 120\ncaption: LM caption.\nduration: 60\nkeyscale: F# minor\nlanguage: en\n"
    "timesignature: 4\n<|im_end|>"
)
"""What the model writes in these vectors. Source: `about` of the file."""


def seed_lists(world: World, vector: Vector) -> Replayed:
    given, expected = vector["input"], vector["expected"]
    places = count(1)
    try:
        batch = pb.BatchParams(
            batch_size=given["batch"],
            use_random_seed=given.get("use_random_seed", False),
            seeds=_seeds(given["seed"]),
        )
    except ValueError:
        return Replayed({"seeds": ABSENT}, {"seeds": expected})
    resolved = seeds.resolve(batch, draw=lambda: -next(places))
    ours = [f"random{-song.lm}" if song.lm < 0 else song.lm for song in resolved]
    return Replayed({"seeds": ours}, {"seeds": expected})


def _seeds(given: Any) -> list[int]:
    """As the contract has them: whole numbers, from 0. Raises `ValueError` for anything else."""
    items = given if isinstance(given, list) else str("" if given is None else given).split(",")
    numbers = [int(item) for item in items if str(item).strip()]
    if any(number < 0 for number in numbers):
        raise ValueError("a seed is not negative")
    return numbers


def decisions(world: World, vector: Vector) -> Replayed:
    given = vector["input"] if "input" in vector else world.input_of(vector["same_input_as"])
    expected = vector["expected"]
    if given is None:
        return Replayed({"input": ABSENT}, {"input": vector["same_input_as"]})
    theirs = _recorded(given, expected)
    try:
        wanted = order(_request(given))
    except (AceError, ValueError):
        return Replayed(dict.fromkeys(theirs, ABSENT), theirs)
    if given.get("llm"):  # no language model, or one that is not ready
        return Replayed(_decided(wanted, "", lm=False), theirs)
    written = next((call["cot_text"] for call in _calls(expected, "codes")), STUB)
    ours = _decided(wanted, written if wanted.calls.plan else "", lm=True)
    return Replayed({name: ours[name] for name in theirs}, theirs)


def _calls(expected: Vector, phase: str) -> Iterator[Vector]:
    return (call for call in expected["lm_calls"] if call["phase"] == phase)


def _recorded(given: Vector, expected: Vector) -> Facts:
    """What the reference did; values only where a call got so far."""
    plans, codes = [*_calls(expected, "cot")], [*_calls(expected, "codes")]
    facts: Facts = {"plans": bool(plans)}
    if plans:
        facts["forced"] = plans[0]["user_metadata"] or {}
        facts["guided_plan"] = plans[0]["cfg_scale"] > 1
    if codes:
        facts["reasoning"] = codes[0]["cot_text"]
        target = codes[0]["target_duration"]
        facts["target"] = target if target is not None and target > 0 else None
        if given.get("config", {}).get("seeds"):
            facts["seeds"] = [seed for call in codes for seed in call.get("seeds") or [None]]
        if "cfg_scale" in codes[0]:
            names = ("cfg_scale", "temperature", "top_k", "top_p")
            facts["sampling"] = [codes[0][name] for name in names]
    audio = expected["dit_input"]
    if audio is None and expected["result"]["success"] is False and expected["lm_calls"]:
        return facts  # a call came back empty, which the grammar rules out
    facts["codes"] = bool(codes)
    facts["fails"] = audio is None
    if audio is not None:
        seconds = audio["audio_duration"]
        facts |= {"caption": audio["captions"], "lyrics": audio["lyrics"], "bpm": audio["bpm"]}
        facts |= {"keyscale": audio["key_scale"], "timesignature": audio["time_signature"]}
        facts["language"] = audio["vocal_language"]
        facts["duration"] = seconds if seconds and seconds > 0 else None
    return facts


def _request(given: Vector) -> pb.GenerateMusicRequest:
    """The same wish in the gateway's contract. Raises `ValueError` for what it cannot say."""
    params, config = given.get("params", {}), given.get("config", {})
    request = pb.GenerateMusicRequest(
        caption=params.get("caption", "my caption"),
        lyrics=params.get("lyrics", "my lyrics"),
        task=getattr(music_pb2, f"TASK_{params.get('task_type', 'text2music').upper()}"),
        audio_codes=[int(match[1]) for match in CODE_PATTERN.finditer(params.get("audio_codes", ""))],
    )
    for name in ("bpm", "keyscale", "timesignature", "vocal_language", "instrumental"):
        if params.get(name) is not None:
            setattr(request, name, params[name])
    if params.get("duration") is not None and params["duration"] > 0:
        request.duration_seconds = params["duration"]
    for name in ("use_cot_metas", "use_cot_caption", "use_cot_language"):
        if name in params:
            setattr(request.lm.chain_of_thought, name, params[name])
    for name in ("lm_temperature", "lm_top_k", "lm_top_p"):
        if name in params:
            setattr(request.lm.sampling, name.removeprefix("lm_"), params[name])
    if "lm_cfg_scale" in params:
        request.lm.cfg_scale = params["lm_cfg_scale"]
    if "thinking" in params:
        request.lm.thinking = params["thinking"]
    request.batch.batch_size = config.get("batch_size", 1)
    request.batch.seeds.extend(config.get("seeds") or [])
    return request


def _decided(wanted: Order, written: str, *, lm: bool) -> Facts:
    """What the gateway does with `wanted` if the model writes `written`."""
    request, calls = wanted.request, wanted.calls
    planned = wire.metadata(parse.metadata(written)) if written else None
    plan = planning.combine(request, planned)
    reasoning = planning.codes_metadata(request, plan)
    song, sampled = plan.metadata, request.lm.sampling
    followed = wire.composition(lm_pb.GenerateCodesRequest(metadata=reasoning)).metadata
    known = song.HasField("duration_seconds") and plan.duration_source != pb.DURATION_SOURCE_DEFAULT
    forced = {
        name.removesuffix("_seconds"): getattr(request, name)
        for name in planning.PLANNED
        if request.HasField(name)
    }
    return {
        "plans": lm and calls.plan,
        "codes": lm and calls.codes,
        "fails": False,
        "forced": {
            name: int(value) if isinstance(value, float) else value for name, value in forced.items()
        },
        "guided_plan": False,
        "reasoning": f"<think>\n{cot.body(followed)}\n</think>",
        "target": song.duration_seconds if known else None,
        "seeds": [item.lm for item in wanted.seeds],
        "sampling": [
            request.lm.cfg_scale,
            sampled.temperature,
            sampled.top_k or None,
            sampled.top_p if sampled.top_p < 1 else None,
        ],
        "caption": song.caption,
        "lyrics": plan.lyrics,
        "bpm": song.bpm if song.HasField("bpm") else None,
        "keyscale": song.keyscale,
        "timesignature": song.timesignature,
        "language": song.language,
        "duration": song.duration_seconds if known else None,
    }
