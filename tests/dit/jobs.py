"""Jobs for the real engine: one to vary, and those that the reference's handler was called with."""

import re
from dataclasses import replace
from typing import Any

from common.music import SAMPLE_RATE_HZ
from dit_service.canvas import Region
from dit_service.engine import Diffusion, InferMethod, RenderJob, SourceSound, Task, Waveform
from dit_service.reference import excerpt
from tests.dit.golden import MODELS, Case, wave

TURBO = MODELS["turbo"]
TURBO_DIFFUSION = Diffusion(
    inference_steps=8,
    guidance_scale=1.0,
    use_adg=False,
    cfg_interval_start=0.0,
    cfg_interval_end=1.0,
    shift=3.0,
    infer_method=InferMethod.ODE,
)
JOB = RenderJob(
    model=TURBO,
    task=Task.TEXT2MUSIC,
    instruction=None,
    caption="slow piano",
    lyrics="[Instrumental]",
    language="unknown",
    bpm=None,
    keyscale=None,
    timesignature=None,
    duration_s=6.0,
    audio_codes=(),
    audio_cover_strength=1.0,
    seed=7,
    diffusion=TURBO_DIFFUSION,
)


INSTRUCTED_TRACKS = re.compile(r"(?:Generate the|Extract the|track with) ([A-Z_ |]+?)(?: track|:)")
CODE = re.compile(r"<\|audio_code_(\d+)\|>")


def job_of(golden: Case, item: int = 0) -> RenderJob:
    """What the reference's handler was asked for, as this service would be."""
    call, kinds = golden.facts["call"], golden.facts["wave_kinds"]
    codes = _codes(call, item)
    heard = _sound(call, kinds, "reference_audio")
    source = _sound(call, kinds, "src_audio")
    return replace(
        JOB,
        model=golden.model,
        task=Task.COVER if codes else _task(golden),
        tracks=_tracks(call.get("instruction", "")),
        caption=call["captions"],
        lyrics=call["lyrics"],
        language=call.get("vocal_language", "en"),
        bpm=call.get("bpm"),
        keyscale=call.get("key_scale"),
        timesignature=call.get("time_signature"),
        duration_s=call["audio_duration"] if source is None else len(source) / SAMPLE_RATE_HZ,
        audio_codes=codes,
        audio_cover_strength=call.get("audio_cover_strength", 1.0),
        reference=None if heard is None else excerpt(heard),
        source=None if source is None else SourceSound(source),
        regions=_regions(golden),
        seed=int(golden.facts["seed_value"].split(",")[item]),
        diffusion=replace(
            TURBO_DIFFUSION,
            inference_steps=call.get("inference_steps", 8),
            guidance_scale=1.0 if "turbo" in golden.model else call.get("guidance_scale", 7.0),
            use_adg=call.get("use_adg", False),
            cfg_interval_start=call.get("cfg_interval_start", 0.0),
            cfg_interval_end=call.get("cfg_interval_end", 1.0),
            shift=call.get("shift", 1.0),
            timesteps=tuple(call.get("timesteps") or ()),
        ),
    )


def lego_is_corrected(golden: Case) -> bool:
    """Whether the old reference made what the new one calls lego: it was asked for an extract."""
    return "lego" in golden.facts["wave_kinds"].get("semantics", "")


def _task(golden: Case) -> Task:
    if lego_is_corrected(golden):
        return Task.LEGO
    return Task(golden.facts["call"].get("task_type", "text2music"))


def _tracks(instruction: str) -> tuple[str, ...]:
    match = INSTRUCTED_TRACKS.search(instruction)
    return tuple(match[1].split(" | ")) if match else ()


def _codes(call: dict[str, Any], item: int) -> tuple[int, ...]:
    given = call.get("audio_code_string", "")
    return tuple(int(code) for code in CODE.findall(given if isinstance(given, str) else given[item]))


def _sound(call: dict[str, Any], kinds: dict[str, Any], name: str) -> Waveform | None:
    """The wave that a call describes as `formula wave (2, 288777)`."""
    if name not in call:
        return None
    match = re.search(r"\(2, (\d+)\)", call[name])
    assert match, f"{name} is no formula wave"
    return wave(int(match[1]), kinds[name])


def _regions(golden: Case) -> tuple[Region, ...]:
    if _task(golden) not in (Task.REPAINT, Task.LEGO):
        return ()
    call = golden.facts["call"]
    end = call.get("repainting_end", -1)
    return (Region(call.get("repainting_start", 0.0), None if end < 0 else end),)
