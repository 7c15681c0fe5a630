"""Vectors about sampling, limits and the parameters of calls. Spec lm.md 4."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1.music_pb2 import LmSampling
from common.errors import AceError
from common.revision import Revision
from lm_service import wire
from lm_service.engine import Model
from lm_service.prompt import PromptLayout
from lm_service.sampling import Sampling, guided, penalised, settings_of, threshold
from lm_service.settings import Settings
from lm_service.song import Jobs, Plan, Wish
from tests.lm.replay.world import ABSENT, Replayed, Vector, World


def sampling(world: World, vector: Vector) -> Replayed:
    kind = vector["kind"]
    for ending, adapter in KINDS.items():
        if kind.endswith(ending):
            return adapter(world, vector)
    return Replayed({"kind": ABSENT}, {"kind": vector["expected"]})


def numbers(values: list[float | str]) -> Tensor:
    return torch.tensor([float(value) for value in values])


def filtered(scores: Tensor, top_k: int, top_p: float) -> Tensor:
    best = scores.sort(descending=True).values[None]
    settings = settings_of((Sampling(temperature=1.0, top_k=top_k, top_p=top_p),), scores.device)
    lowest = threshold(best, settings, None)
    return scores.masked_fill(scores < lowest[0], -torch.inf)


def _wish(given: Vector) -> Sampling:
    """The product's reading of the settings that are given. Raises `AceError`."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    fields = {name: given[name] for name in names if given.get(name) is not None}
    request = pb.PlanRequest(sampling=LmSampling(**fields))
    return wire.wish(request, default_top_p=1.0).sampling


def _filter(world: World, vector: Vector) -> Replayed:
    given, theirs = vector["input"], numbers(vector["expected"]).tolist()
    try:
        wish = _wish(given)
    except AceError:
        return Replayed({"kept": ABSENT}, {"kept": theirs})
    kept = filtered(numbers(given["logits"]), wish.top_k, wish.top_p)
    return Replayed({"kept": kept.tolist()}, {"kept": theirs})


def _scores(given: Vector, written: list[int]) -> Tensor:
    """Guidance, mask, penalty: in the product's order."""
    conditional, wish = numbers(given["cond"]), _wish(given)
    scores = guided(conditional, numbers(given["uncond"]), torch.tensor(given.get("cfg_scale", 1.0)))
    mask = numbers(given.get("additive_mask") or [0.0] * len(scores))
    return penalised(scores + mask, torch.tensor(written, dtype=torch.int64), wish.repetition_penalty)


def _pt_step(world: World, vector: Vector) -> Replayed:
    given, wish = vector["input"], _wish(vector["input"])
    # What these vectors call the prompt stands for the tokens that were written.
    scores = filtered(_scores(given, given["prompt_token_ids"]), wish.top_k, wish.top_p)
    return Replayed({"scores": scores.tolist()}, {"scores": numbers(vector["expected"]).tolist()})


def _nano_step(world: World, vector: Vector) -> Replayed:
    given, expected, wish = vector["input"], vector["expected"], _wish(vector["input"])
    scores = _scores(given, given.get("completion") or [])
    return Replayed(
        {
            "scores": scores.tolist(),
            "top_k": wish.top_k or None,
            "top_p": wish.top_p if given.get("top_p") is not None else None,
        },
        {
            "scores": numbers(expected["logits_given_to_sampler"]).tolist(),
            "top_k": _single(expected["top_k_given"]),
            "top_p": _single(expected["top_p_given"]),
        },
    )


def _single(values: Any) -> Any:
    return values[0] if isinstance(values, list) else values


def _parameter_check(world: World, vector: Vector) -> Replayed:
    given, expected = vector["input"], vector["expected"]
    try:
        _wish(given)
        wire.composition(pb.GenerateCodesRequest(cfg_scale=given.get("cfg_scale")))
        refused = False
    except AceError:
        refused = True
    return Replayed({"refused": refused}, {"refused": isinstance(expected, dict) and "message" in expected})


def _limit(world: World, phase: str, duration_s: float | None, max_model_len: int) -> Any:
    """Most tokens that a call writes, behind as short a prompt as there is."""
    model = Model(revision=Revision("lm", "r"), grammar=world.grammar, max_model_len=max_model_len)
    most = Settings(models=Path()).max_text_tokens
    jobs, wish = Jobs(model, most, PromptLayout.OPEN_TURN), Wish(sampling=Sampling(temperature=1.0))
    try:
        request = pb.GenerateCodesRequest(duration_seconds=duration_s, cfg_scale=1.0)
        song = wire.composition(request)
        if phase == "codes":
            return jobs.codes(song, wish).max_tokens
        plan = Plan(caption="", lyrics="", fixed=song.metadata, with_caption=True, with_language=True)
        return jobs.plan(plan, wish).max_tokens
    except AceError:
        return ABSENT


def max_new_tokens(world: World, vector: Vector) -> Replayed:
    given = vector.get("input", vector)
    duration_s = given["target_duration"]
    # A duration that is not positive is the reference's way to say that there is none.
    given_s = duration_s if duration_s is not None and duration_s > 0 else None
    limit = _limit(world, given.get("phase", "codes"), given_s, given["max_model_len"])
    return Replayed({"limit": limit}, {"limit": vector["expected"]})


def _stop_rule(world: World, vector: Vector) -> Replayed:
    given = vector["input"]
    # Every row is a request of its own, and end-of-turn is what stops it.
    ours = all(token == given["eos"] for token in given["sampled"])
    return Replayed({"stops": ours}, {"stops": vector["expected"]})


def engine_calls(world: World, vector: Vector) -> Replayed:
    """Parameters of calls to the reference's engine, which has another interface than ours."""
    return Replayed({"call": ABSENT}, {"call": vector["expected"]})


KINDS: dict[str, Callable[[World, Vector], Replayed]] = {
    "top-k": _filter,
    "top-p": _filter,
    "function": _filter,
    "pt step": _pt_step,
    "nano step": _nano_step,
    "parameter check": _parameter_check,
    "max new tokens": max_new_tokens,
    "stop rule": _stop_rule,
}
