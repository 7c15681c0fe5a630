"""Vectors about text: prompts, the metadata block, parsing, and small helpers. Spec lm.md 2 and 5."""

from collections.abc import Callable
from typing import Any

from acestep.gateway.v1 import music_service_pb2 as gateway_pb
from acestep_serve.options import parse_codes
from gateway import planning
from lm_service import cot, parse, prompt
from lm_service.metadata import Metadata
from lm_service.prompt import NO_USER_INPUT, Prompt, PromptLayout
from lm_service.vocabulary import CODE_PATTERN
from tests.lm.replay.world import ABSENT, Replayed, Vector, World


def prompts(world: World, vector: Vector) -> Replayed:
    made, expected = _prompt(vector), vector["expected"]
    if made is None:
        return Replayed({"text": ABSENT}, {"text": expected})
    return Replayed(
        {"text": prompt.text_of(made), "tokens": prompt.encode(made, world.vocabulary)},
        {"text": expected, "tokens": world.vocabulary.encode(expected)},
    )


def _prompt(vector: Vector) -> Prompt | None:
    """The prompt that the product makes of this input; None for one that none of its calls needs."""
    given, name = vector["input"], vector["name"]
    unconditional = "unconditional" in name or given.get("is_negative_prompt", False)
    if name.startswith("codes") or given.get("generation_phase") == "codes":
        layout = PromptLayout.OPEN_TURN if "newer" in name else PromptLayout.CLOSED_TURN
        return _codes_prompt(given, layout, unconditional)
    return None if unconditional else _text_prompt(given, name)


def _codes_prompt(given: Vector, layout: PromptLayout, unconditional: bool) -> Prompt:
    caption, lyrics = given["caption"], given["lyrics"]
    if unconditional:
        return prompt.codes_unconditional(caption, lyrics, given.get("negative_prompt", ""), layout)
    return prompt.codes(caption, lyrics, parse.metadata(given["cot_text"]), layout)


def _text_prompt(given: Vector, name: str) -> Prompt:
    caption, lyrics = given.get("caption", ""), given.get("lyrics", "")
    if "audio_codes" in given:
        text = given["audio_codes"] or ""
        return prompt.understand([int(match[1]) for match in CODE_PATTERN.finditer(text)])
    if "query" in given:
        return prompt.create(given["query"], given.get("instrumental", False))
    return prompt.rewrite(caption, lyrics) if name.startswith("format") else prompt.plan(caption, lyrics)


def cot_text(world: World, vector: Vector) -> Replayed:
    given = {
        "duration_s" if name == "duration" else name: value
        for name, value in vector["input"].items()
        if name == "duration" or name in Metadata.__slots__
    }
    return Replayed(
        {"block": f"<think>\n{cot.body(Metadata(**given))}\n</think>"}, {"block": vector["expected"]}
    )


def parse_output(world: World, vector: Vector) -> Replayed:
    text, expected = vector["input"], vector["expected"]
    theirs = {name: str(value) for name, value in expected["metadata"].items()}
    # Numbers are recorded as numbers: the same value may be spelled differently in the text.
    ours = {
        name: str(int(value)) if isinstance(expected["metadata"].get(name), int) else value
        for name, value in parse.fields(text).items()
    }
    return Replayed(
        {"fields": ours, "codes": "".join(parse.CODE_PATTERN.findall(text))},
        {"fields": theirs, "codes": expected["audio_codes"]},
    )


def extract_lyrics(world: World, vector: Vector) -> Replayed:
    return Replayed({"lyrics": parse.lyrics(vector["input"])}, {"lyrics": vector["expected"]})


def small_helpers(world: World, vector: Vector) -> Replayed:
    given = vector["input"]
    for beginning, helper in HELPERS.items():
        if vector["name"].startswith(beginning):
            return Replayed({beginning: helper(given)}, {beginning: vector["expected"]})
    return Replayed({"helper": ABSENT}, {"helper": vector["expected"]})


def _all_given(metas: dict[str, Any] | None) -> bool:
    """Whether the plan is left out because there is nothing to plan."""
    request = gateway_pb.GenerateMusicRequest(caption="what there is to plan for")
    request.lm.chain_of_thought.use_cot_metas = True
    names = {"duration": "duration_seconds"}
    for name, value in (metas or {}).items():
        field = names.get(name, name)
        if field in planning.PLANNED and value is not None:
            setattr(request, field, value)
    return not planning.calls(request).plan


def _clean_caption(text: str | None) -> str | None:
    return parse.fields(f"caption: {text}").get("caption", "") if text is not None else None


def _codes(text: str | None) -> Any:
    try:
        return parse_codes(text or "")
    except ValueError:
        return ABSENT


HELPERS: dict[str, Callable[[Any], Any]] = {
    "negative prompt counts as given": lambda text: prompt.is_given(text or NO_USER_INPUT),
    "all four metas present": _all_given,
    "caption clean-up": _clean_caption,
    "audio code string to integers": _codes,
}
