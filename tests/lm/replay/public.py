"""Vectors about the public calls, replayed through the servicer over an engine that writes their text.

Spec lm.md 5.4 and 5.5. Compared are values and whether a call succeeds; the reference's status
texts have no counterpart, as failures are gRPC statuses.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from acestep.gateway.v1 import music_service_pb2 as gateway_pb
from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.revision import Revision
from common.slot import Slot
from gateway import seeds
from lm_service import parse
from lm_service.admission import Admission, Room
from lm_service.engine import Job, Model
from lm_service.generation import Generations
from lm_service.outline import Phase
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from lm_service.vocabulary import CODE_PATTERN
from tests.lm.replay.songs import STUB
from tests.lm.replay.world import ABSENT, Facts, Replayed, Vector, World

VALUES = ("caption", "lyrics", "bpm", "duration", "keyscale", "language", "timesignature", "instrumental")
TEXT_FIELDS = ("caption", "keyscale", "language", "timesignature")


class ScriptedEngine:
    """An engine that writes a given text and keeps what it was asked."""

    cache_token_count = 100_000

    def __init__(self, world: World, script: str, *, fails: bool = False) -> None:
        self.model = Model(revision=Revision("lm", "r"), grammar=world.grammar, max_model_len=8192)
        self.jobs: list[Job] = []
        self._script = world.vocabulary.encode(script)
        self._fails = fails

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        self.jobs.append(job)
        if self._fails:
            raise AceError(Kind.UNAVAILABLE, "ENGINE_DEAD", "the engine has died")
        if self._script:
            yield self._script

    def unfinished_count(self) -> int:
        return 0


def public_calls(world: World, vector: Vector) -> Replayed:
    name = vector["name"]
    for beginning, adapter in CALLS.items():
        if name.startswith(beginning):
            return adapter(world, vector)
    return Replayed({"call": ABSENT}, {"call": vector["expected"]})


def _text_call(method: str) -> Callable[[World, Vector], Replayed]:
    def adapter(world: World, vector: Vector) -> Replayed:
        given, expected = vector["input"], vector["expected"]
        fails = any(word in vector["name"] for word in ("rais", "error", "exception", "fail"))
        engine = ScriptedEngine(world, given.get("lm_text") or "", fails=fails)
        try:
            request = REQUESTS[method](given)
            result = asyncio.run(_result(engine, method, request, given.get("initialised", True)))
        except (AceError, ValueError, TypeError):
            result = None
        if isinstance(expected, dict) and "prompt_user_text" in expected:
            return _settings(world, engine, expected)
        if "language option" in vector["name"] or "metadata option" in vector["name"]:
            return _fixed(engine, vector)
        if isinstance(expected, list) or not given.get("initialised", True) or "lm_text" not in given:
            succeeded = expected["success"] if isinstance(expected, dict) else False
            return Replayed({"succeeds": result is not None}, {"succeeds": succeeded})
        theirs = {name: expected[name] for name in VALUES if name in expected}
        return Replayed(_values(result, given), theirs)

    return adapter


async def _result(engine: ScriptedEngine, method: str, request: Any, loaded: bool) -> Any:
    slot: Slot[Service] = Slot("the language model")
    if loaded:
        jobs = Jobs(engine.model, max_text_tokens=3500, layout=PromptLayout.OPEN_TURN)
        slot.fill(
            Service(
                Generations(engine, Admission(Room(8, engine.cache_token_count), 8), stall_s=60.0), jobs
            )
        )
    context: Any = None  # no method of the servicer reads it
    events = [event async for event in getattr(LmServicer(slot), method)(request, context)]
    return events[-1].result.description


def _values(description: Any, given: Vector) -> Facts:
    """In the reference's shape: absent texts are empty, absent numbers are null."""
    if description is None:
        return dict.fromkeys(VALUES, ABSENT)
    song = description.metadata
    return {
        **{name: getattr(song, name) for name in TEXT_FIELDS},
        "lyrics": description.lyrics,
        "bpm": song.bpm if song.HasField("bpm") else None,
        "duration": song.duration_seconds if song.HasField("duration_seconds") else None,
        "instrumental": given.get("instrumental", False),
    }


def _settings(world: World, engine: ScriptedEngine, expected: Vector) -> Replayed:
    """What the engine was asked: prompt, sampling, and what is forced."""
    cfg = expected["cfg"]
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    theirs = {
        "user_text": expected["prompt_user_text"],
        "sampling": [cfg[name] for name in names],
        "phase": cfg["generation_phase"],
        "forced": cfg["user_metadata"] or {},
        "skips_language": cfg["skip_language"],
    }
    if not engine.jobs:
        return Replayed(dict.fromkeys(theirs, ABSENT), theirs)
    job = engine.jobs[0]
    sampling, outline = job.task.sampling, job.task.outline
    text = world.vocabulary.decode(job.prompt)
    ours = {
        "user_text": text.partition("<|im_start|>user\n")[2].rpartition("<|im_end|>")[0],
        "sampling": [
            sampling.temperature,
            sampling.top_k or None,
            sampling.top_p if sampling.top_p < 1 else None,
            sampling.repetition_penalty,
        ],
        "phase": "understand" if outline.phase is Phase.TEXT else outline.phase,
        "forced": dict(outline.fixed),
        "skips_language": "language" in outline.skipped,
    }
    return Replayed(ours, theirs)


def _fixed(engine: ScriptedEngine, vector: Vector) -> Replayed:
    expected = vector["expected"] or {}
    metadata = expected.get("user_metadata", expected) if "skip_language" in expected else expected
    theirs: Facts = {"forced": {name: str(value) for name, value in (metadata or {}).items()}}
    ours: Facts = {"forced": dict(engine.jobs[0].task.outline.fixed) if engine.jobs else ABSENT}
    if "skip_language" in expected:
        theirs["skips_language"] = expected["skip_language"]
        ours["skips_language"] = (
            "language" in engine.jobs[0].task.outline.skipped if engine.jobs else ABSENT
        )
    return Replayed(ours, theirs)


def _understand(given: Vector) -> pb.UnderstandRequest:
    codes = [int(match[1]) for match in CODE_PATTERN.finditer(given.get("audio_codes") or "")]
    return pb.UnderstandRequest(audio_codes=codes)


def _sample(given: Vector) -> pb.CreateSampleRequest:
    return pb.CreateSampleRequest(
        query=given.get("query", ""),
        instrumental=given.get("instrumental", False),
        vocal_language=given.get("vocal_language"),
    )


def _formatting(given: Vector) -> pb.FormatSampleRequest:
    """Raises `TypeError` or `ValueError` for metadata of another type than the contract's."""
    metadata = {
        "duration_seconds" if name == "duration" else name: value
        for name, value in (given.get("user_metadata") or {}).items()
    }
    return pb.FormatSampleRequest(
        caption=given.get("caption", ""),
        lyrics=given.get("lyrics", ""),
        fixed=music_pb2.SongMetadata(**metadata),
    )


REQUESTS: dict[str, Callable[[Vector], Any]] = {
    "Understand": _understand,
    "CreateSample": _sample,
    "FormatSample": _formatting,
}


def _two_phases(world: World, vector: Vector) -> Replayed:
    """Phases are calls of their own; what is compared is what they find in the text."""
    given, expected = vector["input"], vector["expected"]
    if "seeds padded" in vector["name"]:
        batch = gateway_pb.BatchParams(batch_size=given["batch_size"], seeds=given["seeds"] or [])
        ours = [song.lm if song.lm >= 0 else "random" for song in seeds.resolve(batch, draw=lambda: -1)]
        return Replayed({"seeds": ours}, {"seeds": expected})
    if given.get("infer_type") not in ("dit", "llm_dit") or not expected["success"]:
        return Replayed({"call": ABSENT}, {"call": expected})
    fields: dict[str, Any] = dict(parse.fields(STUB))
    metadata = fields | {name: int(fields[name]) for name in ("bpm", "duration")}
    recorded = expected["metadata"]
    return Replayed(
        {"metadata": metadata}, {"metadata": recorded[0] if isinstance(recorded, list) else recorded}
    )


CALLS: dict[str, Callable[[World, Vector], Replayed]] = {
    "understand": _text_call("Understand"),
    "lower-level understand": _text_call("Understand"),
    "create_sample": _text_call("CreateSample"),
    "format_sample": _text_call("FormatSample"),
    "two-phase call": _two_phases,
}
