"""Requests of every kind for `LmService`: guided and not, constrained and not."""

import random
from typing import Any

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1.music_pb2 import LmSampling, SongMetadata

KINDS = (
    "guided",
    "plan",
    "guided",
    "understand",
    "unguided",
    "guided",
    "create",
    "plan",
    "guided",
    "format",
)

Call = tuple[str, Any]
"""Name of a method, and its request."""


def calls(count: int, seed: int) -> list[Call]:
    """Different ones. Prompt and output are short enough for a model length of 512 tokens."""
    draw = random.Random(seed)
    return [_call(KINDS[place % len(KINDS)], place, draw) for place in range(count)]


def _call(kind: str, place: int, draw: random.Random) -> Call:
    sampling = LmSampling(
        seed=draw.randrange(2**31),
        temperature=draw.choice((0.0, 0.7, 0.9, 1.3)),
        top_k=draw.choice((0, 0, 20)),
        top_p=draw.choice((0.5, 0.9, 1.0)),
        repetition_penalty=draw.choice((1.0, 1.3)),
        use_constrained_decoding=draw.random() < 0.7,
    )
    caption, lyrics = f"calm piano {place}", "la la la " * draw.randrange(12)
    if kind == "plan":
        fixed = SongMetadata(bpm=90) if draw.random() < 0.5 else None
        return "Plan", pb.PlanRequest(caption=caption, lyrics=lyrics, fixed=fixed, sampling=sampling)
    if kind == "understand":
        codes = [draw.randrange(1000) for _ in range(draw.randrange(60))]
        return "Understand", pb.UnderstandRequest(audio_codes=codes, sampling=sampling)
    if kind == "create":
        return "CreateSample", pb.CreateSampleRequest(
            query=caption, instrumental=draw.random() < 0.5, sampling=sampling
        )
    if kind == "format":
        return "FormatSample", pb.FormatSampleRequest(caption=caption, lyrics=lyrics, sampling=sampling)
    request = pb.GenerateCodesRequest(
        caption=caption,
        lyrics=lyrics,
        metadata=SongMetadata(bpm=60 + place % 100, keyscale="C major"),
        cfg_scale=1.0 if kind == "unguided" else draw.choice((1.5, 2.0, 3.0)),
        negative_prompt=draw.choice(("", "noise")),
        sampling=sampling,
    )
    if draw.random() < 0.9:  # of the others the model decides when they end
        request.duration_seconds = draw.choice((4.0, 12.0, 30.0))
    return "GenerateCodes", request
