"""Vectors about what becomes of `generate_music`: calls, what reaches the audio side, the result.

Spec lm.md 6 and dit.md 5, from the function that upstream's callers call to the stages.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from acestep.handler import AceStepHandler
from acestep.inference import GenerationConfig, GenerationParams, GenerationResult, generate_music
from acestep.llm_inference import LLMHandler
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.music.v1 import music_pb2
from lm_service import parse, wire
from tests.client.replay.stage import ReplayedLm
from tests.gateway.fakes import FakeDit
from tests.lm.replay.songs import STUB
from tests.lm.replay.world import ABSENT, Facts, Replayed, Vector, World

PLANNED = ("bpm", "duration_seconds", "keyscale", "timesignature")
COT = ("cot_bpm", "cot_keyscale", "cot_timesignature", "cot_duration", "cot_vocal_language", "cot_caption")
PHASES = ("Phase 1", "Phase 2")


class Decisions:
    """Replays one vector after the other through the same handlers."""

    def __init__(
        self, lm: ReplayedLm, dit: FakeDit, handlers: tuple[AceStepHandler, LLMHandler], audio: Path
    ) -> None:
        self._lm, self._dit, self._audio = lm, dit, audio
        self._handlers = handlers

    def __call__(self, world: World, vector: Vector) -> Replayed:
        given = vector.get("input")
        if given is None:
            return Replayed({"input": ABSENT}, {"input": vector["same_input_as"]})
        theirs = recorded(given, vector["expected"])
        self._lm.reset()
        self._dit.jobs.clear()
        written = next((call["cot_text"] for call in _calls(vector["expected"], "codes")), STUB)
        self._lm.planned = wire.metadata(parse.metadata(written or STUB))
        self._lm.fails_in = _failing(vector["expected"])
        params, config = self._asked(given)
        progress: list[list[Any]] = []
        dit, llm = self._handlers
        result = generate_music(
            dit,
            None if given.get("llm") == "none" else LLMHandler() if given.get("llm") else llm,
            params,
            config,
            progress=_kept(progress),
        )
        ours = self._facts(params, result, progress)
        return Replayed({name: ours.get(name, ABSENT) for name in theirs}, theirs)

    def _asked(self, given: Vector) -> tuple[GenerationParams, GenerationConfig]:
        params = {"caption": "my caption", "lyrics": "my lyrics"} | given.get("params", {})
        for name in ("src_audio", "reference_audio"):
            if params.get(name):
                params[name] = str(self._audio)
        if params.get("task_type") in ("lego", "extract", "complete"):
            params.setdefault("instruction", "Extract the vocals track from the audio:")
        config = {"batch_size": 1, "use_random_seed": False} | given.get("config", {})
        return GenerationParams(**params), GenerationConfig(**config)

    def _facts(
        self, params: GenerationParams, result: GenerationResult, progress: list[list[Any]]
    ) -> Facts:
        plans = [each for each in self._lm.requests if isinstance(each, lm_pb.PlanRequest)]
        codes = [each for each in self._lm.requests if isinstance(each, lm_pb.GenerateCodesRequest)]
        facts: Facts = {
            "plans": bool(plans),
            "codes": bool(codes),
            "fails": not result.success,
            "guided_plan": False,
            "progress": progress,
            **{name: getattr(params, name) for name in COT},
            "lm_metadata": result.extra_outputs.get("lm_metadata"),
            "seeds": [audio["params"]["seed"] for audio in result.audios],
            "songs": len(self._dit.jobs),
        }
        if plans:
            facts["forced"] = _forced(plans[0].fixed)
        if codes:
            sampled = codes[0].sampling
            facts["target"] = codes[0].duration_seconds if codes[0].HasField("duration_seconds") else None
            facts["sampling"] = [
                codes[0].cfg_scale,
                sampled.temperature,
                sampled.top_k or None,
                sampled.top_p if sampled.top_p < 1 else None,
            ]
        if self._dit.jobs:
            facts |= _audio_side(self._dit.jobs[0])
        return facts


def recorded(given: Vector, expected: Vector) -> Facts:
    """What the reference did; values only where a call got so far."""
    plans, codes = [*_calls(expected, "cot")], [*_calls(expected, "codes")]
    result, audio = expected["result"], expected["dit_input"]
    facts: Facts = {
        "plans": bool(plans),
        "codes": bool(codes),
        "fails": not result["success"],
        **{name: expected["cot_fields"][name] for name in COT},
        "progress": expected["lm_progress"],
    }
    if plans:
        facts["forced"] = plans[0]["user_metadata"] or {}
        facts["guided_plan"] = plans[0]["cfg_scale"] > 1
    if codes:
        target = codes[0]["target_duration"]
        facts["target"] = target if target is not None and target > 0 else None
        if "cfg_scale" in codes[0]:
            facts["sampling"] = [codes[0][name] for name in ("cfg_scale", "temperature", "top_k", "top_p")]
    if audio is None:
        return facts
    seconds = audio["audio_duration"]
    facts |= {
        "task": audio["task_type"],
        "songs": audio["batch_size"],
        "lm_metadata": result["lm_metadata"],
        "caption": audio["captions"],
        "lyrics": audio["lyrics"],
        "bpm": audio["bpm"],
        "keyscale": audio["key_scale"],
        "timesignature": audio["time_signature"],
        "language": audio["vocal_language"],
        "duration": seconds if seconds and seconds > 0 else None,
    }
    if audio["seed"]:
        facts["seeds"] = [int(seed) for seed in audio["seed"].split(",")]
    if given.get("params", {}).get("audio_codes", "").strip():
        facts["audio_codes"] = audio["audio_code_string"]
    return facts


def _calls(expected: Vector, phase: str) -> list[Vector]:
    return [call for call in expected["lm_calls"] if call["phase"] == phase]


def _failing(expected: Vector) -> str:
    """The call that comes back empty in the recording."""
    if "stub" not in str(expected["result"]["error"]):
        return ""
    return "GenerateCodesRequest" if _calls(expected, "codes") else "PlanRequest"


def _kept(progress: list[list[Any]]) -> Callable[..., None]:
    """Keeps what a callback is told of the language model's phases, each once."""

    def callback(share: float, desc: str) -> None:
        if (
            desc.startswith(PHASES)
            and [share, desc] not in progress
            and desc not in (d for _, d in progress)
        ):
            progress.append([share, desc])

    return callback


def _forced(fixed: music_pb2.SongMetadata) -> Facts:
    return {
        name.removesuffix("_seconds"): int(value)
        if isinstance(value := getattr(fixed, name), float)
        else value
        for name in PLANNED
        if fixed.HasField(name)
    }


def _audio_side(job: Any) -> Facts:
    song = job.metadata
    return {
        "task": music_pb2.Task.Name(job.task).removeprefix("TASK_").lower(),
        "caption": song.caption,
        "lyrics": job.lyrics,
        "bpm": song.bpm if song.HasField("bpm") else None,
        "keyscale": song.keyscale,
        "timesignature": song.timesignature,
        "language": song.language,
        "duration": song.duration_seconds if song.HasField("duration_seconds") else None,
        "audio_codes": "".join(f"<|audio_code_{code}|>" for code in job.audio_codes),
    }
