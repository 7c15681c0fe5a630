"""Where this service departs from the reference on purpose, why, and what must hold instead.

`explained` replays a case with the departure taken back, again through this service's code: if
that meets the reference, the departure is all that lies between the two.
Source of the reasons: spec dit.md 3.1, 3.2, 3.3 and 10.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from dit_service import flow
from dit_service.conditions import Conditions
from dit_service.denoise import Velocity, route
from dit_service.engine import Task
from tests.dit.golden import Case
from tests.dit.jobs import job_of, lego_is_corrected
from tests.dit.replay import Gap, Stand, gap, networks_alone
from tests.dit.replay_runs import Run, handler, no_noise, result, run_of, sampling, windows

TABLE_SHIFTS = (1.0, 2.0, 3.0)

ONLY_WAVELET = "haar"


@dataclass(frozen=True, slots=True)
class Departure:
    name: str
    reason: str
    concerns: Callable[[Stand, Case], bool]
    explained: Callable[[Stand, Case], list[Gap]]


def _pads(stand: Stand, golden: Case) -> bool:
    return any(
        not golden[name].all()
        for name in ("mid.encoder_attention_mask", "out.encoder_attention_mask")
        if name in golden.tensors and ("call" in golden.facts or "in.noise" in golden.tensors)
    )


def _with_pads(stand: Stand, golden: Case) -> list[Gap]:
    if "call" in golden.facts:
        return _with_recorded_conditions(stand, golden)
    gaps = []
    for item, heard in enumerate(golden["mid.encoder_attention_mask"]):
        run = run_of(stand, golden, item)
        if not heard.all():
            recorded = Conditions(
                golden["mid.encoder_hidden_states"][[item]], golden["mid.context_latents"][[item]]
            )
            run = replace(run, path=replace(run.path, conditions=recorded, afterwards=recorded))
        gaps.append(gap("latents", run.latents()[-1], golden["out.latents"][[item]]))
    return gaps


def _stops_early(stand: Stand, golden: Case) -> bool:
    listed = golden.facts.get("params", {}).get("timesteps")
    return bool(listed) and listed[-1] > 0 and not stand.model(golden).is_turbo


def _before_the_last_step(stand: Stand, golden: Case) -> list[Gap]:
    runs = [run_of(stand, golden, item) for item in range(len(golden["in.noise"]))]
    return [
        gap("latents before the added step", run.latents()[-2], golden["out.latents"][[item]])
        for item, run in enumerate(runs)
    ]


def _sde_off_its_times(stand: Stand, golden: Case) -> bool:
    params = golden.facts.get("params", {})
    moved = params.get("shift", 1.0) != 1 or "timesteps" in params
    return params.get("infer_method") == "sde" and moved and not stand.model(golden).is_turbo


def _with_even_levels(stand: Stand, golden: Case) -> list[Gap]:
    return [
        gap(
            "latents at the even levels",
            _evenly(run_of(stand, golden, item)),
            golden["out.latents"][[item]],
        )
        for item in range(len(golden["in.noise"]))
    ]


def _evenly(run: Run) -> torch.Tensor:
    """The run, but noisy as if the times were evenly spaced."""
    latents, steps = run.noise, run.path.step_count
    towards = Velocity(run.model, run.path, run.diffusion)
    for step, (now, later) in enumerate(pairwise(run.path.times)):
        velocity = result(towards(latents, step))
        if later == 0:
            return flow.ode_step(latents, velocity, now, later)
        latents = flow.sde_step(latents, velocity, now, 1 - (step + 1) / steps, run.fresh())
    raise ValueError("the run has no last step")


def _off_the_tables(stand: Stand, golden: Case) -> bool:
    params = golden.facts.get("params", {})
    return "infer_steps" in params and params["infer_steps"] is None and params["shift"] not in TABLE_SHIFTS


def _with_nearest_table(stand: Stand, golden: Case) -> list[Gap]:
    shift = min(TABLE_SHIFTS, key=lambda known: abs(known - golden.facts["params"]["shift"]))
    facts = golden.facts | {"params": golden.facts["params"] | {"shift": shift}}
    return sampling(stand, replace(golden, facts=facts))


def _lego_of_silence(stand: Stand, golden: Case) -> bool:
    if "call" not in golden.facts or lego_is_corrected(golden):
        return False
    return job_of(golden).task is Task.LEGO


def _lengths_differ(stand: Stand, golden: Case) -> bool:
    if "call" not in golden.facts:
        return False
    items = range(len(golden["out.pred_latents"]))
    return len({job_of(golden, item).frame_count for item in items}) > 1


def _is_cut(stand: Stand, golden: Case) -> bool:
    return "call" in golden.facts and job_of(golden).frame_count < golden["out.pred_latents"].shape[1]


def _before_the_cut(stand: Stand, golden: Case) -> list[Gap]:
    gaps = handler(stand, golden, cut=True)
    for item in range(len(golden["out.pred_latents"])):
        uncut = torch.cat(list(stand.vae.decode(golden["out.pred_latents"][[item]])))
        gaps += windows(uncut, golden, item)
    return gaps


def _with_recorded_conditions(stand: Stand, golden: Case) -> list[Gap]:
    gaps = []
    for item, expected in enumerate(golden["out.pred_latents"]):
        job, model = job_of(golden, item), stand.model(golden)
        recorded = Conditions(
            golden["out.encoder_hidden_states"][[item]], golden["out.context_latents"][[item]]
        )
        path = route(flow.times(job.diffusion, model.is_turbo), recorded, recorded, 1.0)
        frames, channels = expected.shape
        noise = flow.noise(frames, channels, torch.Generator().manual_seed(job.seed))
        run = Run(model, path, job.diffusion, noise, fresh=no_noise)
        gaps.append(gap("latents", run.latents()[-1], expected[None]))
    return gaps


DEPARTURES = (
    Departure(
        "pads",
        "The reference lets short items attend to the padding of their batch; here no item depends on"
        " its neighbours (10.1).",
        _pads,
        _with_pads,
    ),
    Departure(
        "lengths",
        "The reference fills a batch up to its longest item; here each has its own length (10.1).",
        _lengths_differ,
        _with_recorded_conditions,
    ),
    Departure(
        "short songs",
        "The reference returns at least 5.12 s; here a shorter song is cut to its length before it is"
        " decoded (10.2).",
        _is_cut,
        _before_the_cut,
    ),
    Departure(
        "lego",
        "The reference of February hides the source of a lego from the model, a fault that upstream has"
        " mended (2.6).",
        _lego_of_silence,
        _with_recorded_conditions,
    ),
    Departure(
        "last time",
        "The reference ends where a list of times ends, and leaves noise in the song; here 0 is added"
        " (3.2).",
        _stops_early,
        _before_the_last_step,
    ),
    Departure(
        "sde levels",
        "The reference adds noise as if times were even, whatever the model was told; here as much as the"
        " next time says (3.3).",
        _sde_off_its_times,
        _with_even_levels,
    ),
    Departure(
        "tables",
        "The oldest turbo code rounds a shift to 1, 2 or 3; here any shift is taken as it is (3.1).",
        _off_the_tables,
        _with_nearest_table,
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case."""

    case: str
    gaps: tuple[Gap, ...] = ()
    departure: str = ""
    not_offered: str = ""

    @property
    def passes(self) -> bool:
        return all(gap.passes for gap in self.gaps)

    @property
    def worst(self) -> Gap:
        """The gap that fails, or else the largest."""
        return max(self.gaps, key=lambda gap: (not gap.passes, gap.size))


def judge(stand: Stand, golden: Case) -> Verdict:
    params = golden.facts.get("params", {})
    wavelet = params.get("dcw_wavelet", ONLY_WAVELET) if params.get("dcw_enabled") else ONLY_WAVELET
    if wavelet != ONLY_WAVELET:
        return Verdict(golden.name, not_offered=f"wavelet correction (DCW) by {wavelet}")
    for departure in DEPARTURES:
        if departure.concerns(stand, golden):
            gaps = departure.explained(stand, golden)
            return Verdict(golden.name, tuple(gaps), departure=departure.name)
    if "call" in golden.facts:
        return Verdict(golden.name, tuple(handler(stand, golden)))
    replay = sampling if "in.noise" in golden.tensors else networks_alone
    return Verdict(golden.name, tuple(replay(stand, golden)))
