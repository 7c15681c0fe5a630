"""Vectors about the public text calls, through upstream's functions, the gateway and the LM servicer.

Only the engine is scripted: it writes a vector's text. Spec lm.md 5.5.
"""

from dataclasses import asdict
from typing import Any

from acestep.inference import create_sample, format_sample, understand_music
from acestep.llm_inference import LLMHandler
from common.slot import Slot
from lm_service.admission import Admission, Room
from lm_service.generation import Generations
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from tests.client.replay.stage import ReplayedLm
from tests.lm.replay.public import ScriptedEngine
from tests.lm.replay.public import public_calls as other_calls
from tests.lm.replay.world import ABSENT, Facts, Replayed, Vector, World

VALUES = ("caption", "lyrics", "bpm", "duration", "keyscale", "language", "timesignature", "instrumental")
FUNCTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "understand": (understand_music, {"audio_codes": ""}),
    "create_sample": (create_sample, {"query": ""}),
    "format_sample": (format_sample, {"caption": "", "lyrics": ""}),
}
SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty")


class PublicCalls:
    """Replays one vector after the other through the same handler."""

    def __init__(self, lm: ReplayedLm, llm: LLMHandler) -> None:
        self._lm, self._llm = lm, llm

    def __call__(self, world: World, vector: Vector) -> Replayed:
        function = next((name for name in FUNCTIONS if vector["name"].startswith(name)), None)
        if function is None:  # phases, raw generation and lower calls are nobody's to call
            return other_calls(world, vector)
        given, expected = vector["input"], vector["expected"]
        engine = ScriptedEngine(world, given.get("lm_text") or "", fails="status" in given)
        self._lm.reset()
        self._lm.real = _servicer(engine)
        call, defaults = FUNCTIONS[function]
        arguments = {
            name: value for name, value in given.items() if name not in ("lm_text", "initialised", "status")
        }
        llm = self._llm if given.get("initialised", True) else LLMHandler()
        result = asdict(call(llm, **defaults | arguments))
        if isinstance(expected, dict) and "prompt_user_text" in expected:
            return Replayed(_settings(world, engine), _expected_settings(expected))
        if not isinstance(expected, dict) or not {"success", "caption"} <= expected.keys():
            return Replayed(_forced(engine, given), _expected_forced(given, expected))
        names = [name for name in (*VALUES, "success") if name in expected]
        if not given.get("initialised", True):
            names += ["status_message", "error"]
        return Replayed({name: result[name] for name in names}, {name: expected[name] for name in names})


def _servicer(engine: ScriptedEngine) -> LmServicer:
    slot: Slot[Service] = Slot("the language model")
    generations = Generations(engine, Admission(Room(8, engine.cache_token_count), 8), stall_s=60.0)
    slot.fill(Service(generations, Jobs(engine.model, max_text_tokens=3500, layout=PromptLayout.OPEN_TURN)))
    return LmServicer(slot)


def _settings(world: World, engine: ScriptedEngine) -> Facts:
    """What the engine was asked."""
    if not engine.jobs:
        return dict.fromkeys(("user_text", "sampling", "forced"), ABSENT)
    job = engine.jobs[0]
    sampled, text = job.task.sampling, world.vocabulary.decode(job.prompt)
    return {
        "user_text": text.partition("<|im_start|>user\n")[2].rpartition("<|im_end|>")[0],
        "sampling": [
            sampled.temperature,
            sampled.top_k or None,
            sampled.top_p if sampled.top_p < 1 else None,
            sampled.repetition_penalty,
        ],
        "forced": dict(job.task.outline.fixed),
    }


def _expected_settings(expected: Vector) -> Facts:
    config = expected["cfg"]
    return {
        "user_text": expected["prompt_user_text"],
        "sampling": [config[name] for name in SAMPLING],
        "forced": {name: str(value) for name, value in (config["user_metadata"] or {}).items()},
    }


def _forced(engine: ScriptedEngine, given: Vector) -> Facts:
    return {"forced": dict(engine.jobs[0].task.outline.fixed) if engine.jobs else ABSENT}


def _expected_forced(given: Vector, expected: Any) -> Facts:
    metadata = (expected or {}).get("user_metadata", expected if "vocal_language" in given else None)
    return {"forced": {name: str(value) for name, value in (metadata or {}).items()}}
