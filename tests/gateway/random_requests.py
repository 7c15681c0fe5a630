"""Requests at random: good ones, ones with bad fields that are known, and ones of any values at all."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from hypothesis import strategies as st

from acestep.gateway.v1 import music_service_pb2 as pb
from common.music import KEYSCALES, LANGUAGES, TIMESIGNATURES
from tests.gateway.whole import CODE_COUNT

NAN, INF = float("nan"), float("inf")

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
SEED = st.integers(0, 2**63 - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ODD_FLOAT = st.sampled_from([NAN, INF, -INF, 1e300])


def outside(low: float, high: float) -> st.SearchStrategy[float]:
    return st.sampled_from([low - 1e-6, high + 1e-6, low - 1, high + 1]) | ODD_FLOAT


def outside_integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(-(2**31), low - 1) | st.integers(high + 1, 2**31 - 1)


def longer_than(limit: int) -> st.SearchStrategy[str]:
    return st.integers(limit + 1, limit + 50).map(lambda size: "水" * size)


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["acestep-v15-turbo", ""]),
    "lyrics": st.sampled_from(["", "[Verse]\nla la", "[Instrumental]", "[Chorus]\n你好"]),
    "instrumental": st.booleans(),
    "vocal_language": st.sampled_from(LANGUAGES),
    "bpm": st.integers(30, 300),
    "keyscale": st.sampled_from([*KEYSCALES, "F#m", "c Minor"]),
    "timesignature": st.sampled_from([*TIMESIGNATURES, "6/8"]),
    "duration_seconds": st.sampled_from([10.0, 10.1, 12.34, 15.0]),
    "instruction": st.sampled_from(["Fill it:", ""]),
    "audio_codes": st.lists(st.integers(0, CODE_COUNT - 1), min_size=1, max_size=60),
    "diffusion.inference_steps": st.integers(1, 20),
    "diffusion.shift": st.floats(1.0, 5.0),
    "diffusion.infer_method": st.integers(0, 2),
    "diffusion.velocity_norm_threshold": st.floats(0.0, 10.0),
    "diffusion.velocity_ema_factor": st.floats(0.0, 1.0),
    "diffusion.dcw_enabled": st.booleans(),
    "lm.thinking": st.booleans(),
    "lm.cfg_scale": st.floats(1.0, 3.0),
    "lm.negative_prompt": st.sampled_from(["", "noise", "NO USER INPUT"]),
    "lm.sampling.temperature": st.floats(0.0, 2.0),
    "lm.sampling.top_k": st.integers(0, 1024),
    "lm.sampling.top_p": st.floats(0.01, 1.0),
    "lm.sampling.repetition_penalty": st.floats(0.5, 2.0),
    "lm.sampling.use_constrained_decoding": st.booleans(),
    "lm.chain_of_thought.use_cot_metas": st.booleans(),
    "lm.chain_of_thought.use_cot_caption": st.booleans(),
    "lm.batch_chunk_size": st.integers(1, 8),
    "lm.allow_batch": st.booleans(),
    "batch.use_random_seed": st.booleans(),
    "batch.seeds": st.lists(SEED, max_size=1),
    "batch.lm_seeds": st.lists(SEED, max_size=1),
    "batch.plan_seed": SEED,
    "output.audio_format": st.integers(0, 4),
    "output.enable_normalization": st.booleans(),
    "output.normalization_db": st.floats(-60.0, 0.0),
    "output.fade_in_seconds": st.floats(0.0, 60.0),
    "output.fade_out_seconds": st.floats(0.0, 60.0),
    "output.return_latents": st.booleans(),
}
BAD: dict[str, st.SearchStrategy[Any]] = {
    "request_id": st.sampled_from(["a b", "x" * 65, "ä", "a\n"]),
    "model": st.sampled_from(["acestep-v15-xl", "../turbo", "\x00"]),
    "lm_model": st.sampled_from(["gpt", " "]),
    "task": outside_integers(0, 6),
    "caption": longer_than(512),
    "lyrics": longer_than(4096),
    "instruction": longer_than(512),
    "vocal_language": st.sampled_from(["klingon", "EN", "english"]),
    "bpm": outside_integers(30, 300),
    "keyscale": st.sampled_from(["H major", "C", "C dorian"]).filter(lambda key: key != "C"),
    "timesignature": st.sampled_from(["5", "7/8", "4/3", "four"]),
    "duration_seconds": outside(10.0, 600.0),
    "reference_audio_id": st.sampled_from(["0" * 32, "../../etc/passwd", ""]),
    "audio_codes": st.lists(outside_integers(0, CODE_COUNT - 1), min_size=1, max_size=5),
    "diffusion.inference_steps": outside_integers(1, 20),
    "diffusion.shift": outside(1.0, 5.0),
    "diffusion.guidance_scale": outside(1.0, 15.0),
    "diffusion.sampler_mode": outside_integers(0, 2),
    "diffusion.velocity_norm_threshold": outside(0.0, 10.0),
    "diffusion.velocity_ema_factor": outside(0.0, 1.0),
    "diffusion.retake_seed": st.integers(-(2**63), -1),
    "diffusion.retake_variance": outside(0.0, 1.0),
    "diffusion.cfg_interval_start": outside(0.0, 1.0),
    "lm.cfg_scale": outside(1.0, 3.0),
    "lm.negative_prompt": longer_than(512),
    "lm.sampling.temperature": outside(0.0, 2.0),
    "lm.sampling.top_k": outside_integers(0, 1024),
    "lm.sampling.top_p": st.sampled_from([0.0, -0.1, 1.0001, NAN, INF]),
    "lm.sampling.repetition_penalty": outside(0.5, 2.0),
    "lm.sampling.seed": INT64,
    "lm.batch_chunk_size": outside_integers(1, 8),
    "batch.batch_size": outside_integers(1, 8),
    "batch.seeds": st.lists(st.integers(-(2**63), -1), min_size=1, max_size=3),
    "batch.dit_seeds": st.lists(st.integers(-(2**63), -1), min_size=1, max_size=3),
    "batch.plan_seed": st.integers(-(2**63), -1),
    "output.audio_format": outside_integers(0, 4),
    "output.mp3_bits_per_second": st.sampled_from([0, 1, 128_001, -1]),
    "output.normalization_db": outside(-60.0, 0.0),
    "output.fade_in_seconds": outside(0.0, 60.0),
    "output.fade_out_seconds": outside(0.0, 60.0),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and what is known to be wrong with it; None if nobody knows."""

    request: pb.GenerateMusicRequest
    bad: frozenset[str] | None


@st.composite
def good(draw: st.DrawFn) -> Case:
    """Every field within its range. The length is given, as a plan could make it ten minutes."""
    request = pb.GenerateMusicRequest(caption="slow piano", duration_seconds=10.0)
    for name in draw(st.lists(st.sampled_from(sorted(GOOD)), unique=True, max_size=12)):
        put(request, name, draw(GOOD[name]))
    return Case(request, frozenset())


@st.composite
def with_bad_fields(draw: st.DrawFn) -> Case:
    """A good request of which one to three fields are then out of their range."""
    request = draw(good()).request
    bad = draw(st.lists(st.sampled_from(sorted(BAD)), unique=True, min_size=1, max_size=3))
    for name in bad:
        put(request, name, draw(BAD[name]))
    return Case(request, frozenset(bad))


@st.composite
def anything(draw: st.DrawFn) -> Case:
    """Values of the right type, and nothing more is known of them."""
    request = pb.GenerateMusicRequest(caption=draw(WORDS), duration_seconds=10.0)
    for name in draw(st.lists(st.sampled_from(sorted(ANY)), unique=True, max_size=10)):
        put(request, name, draw(ANY[name]))
    return Case(request, None)


def put(message: Message, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    if isinstance(value, list):
        message.ClearField(name)
        getattr(message, name).extend(value)
    else:
        setattr(message, name, value)


FLOAT = st.floats(width=64)
EDGE_FLOAT = st.sampled_from([0.0, -0.0, 0.2, 1.0, 10.0, 15.0, 60.0])
ANY: dict[str, st.SearchStrategy[Any]] = {
    **{name: GOOD[name] | BAD[name] for name in GOOD.keys() & BAD.keys()},
    "task": st.integers(-1, 7),
    "lyrics": st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    "source_audio_id": st.sampled_from(["", "0" * 32]),
    "reference_audio_id": st.sampled_from(["", "0" * 32]),
    "tracks": st.lists(st.integers(-1, 13), max_size=3),
    "cover.audio_cover_strength": FLOAT | EDGE_FLOAT,
    "cover.cover_noise_strength": FLOAT | EDGE_FLOAT,
    "diffusion.sampler_mode": st.integers(-1, 3),
    "diffusion.dcw_mode": st.integers(-1, 5),
    "diffusion.dcw_scaler": FLOAT | EDGE_FLOAT,
    "diffusion.dcw_high_scaler": FLOAT | EDGE_FLOAT,
    "diffusion.retake_seed": INT64,
    "diffusion.retake_variance": FLOAT | EDGE_FLOAT,
    "repaint.strength": FLOAT | EDGE_FLOAT,
    "repaint.mode": st.integers(-1, 4),
    "diffusion.timesteps": st.lists(FLOAT | EDGE_FLOAT, max_size=4),
    "diffusion.guidance_scale": FLOAT | EDGE_FLOAT,
    "diffusion.use_adg": st.booleans(),
    "diffusion.cfg_interval_start": FLOAT | EDGE_FLOAT,
    "diffusion.cfg_interval_end": FLOAT | EDGE_FLOAT,
    "diffusion.inference_steps": INT32,
    "lm.sampling.top_k": INT32,
    "lm.chain_of_thought.use_cot_lyrics": st.booleans(),
    "batch.batch_size": st.integers(-1, 3),
    "batch.lm_seeds": st.lists(INT64, max_size=3),
    "batch.dit_seeds": st.lists(INT64, max_size=3),
    "output.mp3_bits_per_second": st.sampled_from([128_000, 192_000, 0]),
}

CASES = st.lists(st.one_of(good(), with_bad_fields(), anything()), min_size=8, max_size=8)
"""Requests that are made at the same time."""
