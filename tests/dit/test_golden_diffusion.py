"""Whole renders in latent space agree with the reference."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dit_service import conditions, schedule
from dit_service.conditions import Conditions
from dit_service.denoise import denoise, route
from dit_service.engine import Diffusion, InferMethod, Keeping
from dit_service.flow import times
from dit_service.networks import DitNetworks
from dit_service.repaint import Surroundings, surroundings
from tests.dit.conftest import Networks
from tests.dit.golden import Case, assert_close, case, spans_of

DETERMINISTIC = """
turbo_ode_shift1 turbo_ode_shift2 turbo_ode_shift3 turbo_ode_steps5_shift2p5 turbo_ode_batch2_oddT
turbo_ode_timesteps xl_turbo_ode_shift3
base_nocfg base_apg_shift1 base_apg_shift3 base_apg_interval base_apg_batch2
base_adg base_adg_shift3_interval base_timesteps
turbo_cover_codes_mixed_batch turbo_cover_codes_strength0p3
base_repaint_explicit turbo_repaint_explicit_noinject turbo_repaint_balanced0p5 turbo_repaint_conservative
turbo_cover_src_strength1 turbo_cover_src_strength0p5 turbo_cover_strength0 base_cover_strength0p5
""".split()


def diffusion_of(params: dict[str, object]) -> Diffusion:
    def number(name: str, default: float) -> float:
        return float(params.get(name, default))  # type: ignore[arg-type]

    listed = params.get("timesteps", ())
    assert isinstance(listed, (list, tuple))
    return Diffusion(
        inference_steps=int(number("infer_steps", 8)),
        guidance_scale=number("diffusion_guidance_scale", 1.0),
        use_adg=bool(params.get("use_adg", False)),
        cfg_interval_start=number("cfg_interval_start", 0.0),
        cfg_interval_end=number("cfg_interval_end", 1.0),
        shift=number("shift", 3.0),
        infer_method=InferMethod(params.get("infer_method", "ode")),
        timesteps=tuple(listed),
    )


def steering(model: DitNetworks, golden: Case, item: int, text: str, source: Tensor) -> Conditions:
    timbre = conditions.timbre(model, golden["in.refer_audio_acoustic_hidden_states_packed"][[item]])
    heard = golden[f"in.{text}_attention_mask"][item] > 0
    sung = golden["in.lyric_attention_mask"][item] > 0
    sequence = conditions.sequence(
        model,
        golden[f"in.{text}_hidden_states"][item][heard][None],
        golden["in.lyric_hidden_states"][item][sung][None],
        timbre,
    )
    spans = spans_of(golden["in.chunk_masks"][item, :, 0])
    return Conditions(sequence, conditions.context(model, source, spans))


def source_of(model: DitNetworks, golden: Case, item: int) -> Tensor:
    source = golden["in.src_latents"][[item]]
    if not golden["in.is_covers"][item]:
        return source
    if "in.precomputed_lm_hints_25Hz" in golden.tensors:
        return golden["in.precomputed_lm_hints_25Hz"][[item]]
    return conditions.hint(model, conditions.encode_codes(model, source), source.shape[1])


def no_noise() -> Tensor:
    raise AssertionError("an ODE step drew noise")


def kept(golden: Case, item: int, step_count: int, is_turbo: bool) -> Surroundings:
    params = golden.facts["params"]
    keeping = Keeping(
        held_share=params["repaint_injection_ratio"],
        latent_fade_frames=params["repaint_crossfade_frames"],
        splices=False,
        sound_fade_s=0.0,
    )
    spans = spans_of(golden["in.repaint_mask"][item])
    return surroundings(golden["in.clean_src_latents"][[item]], spans, keeping, step_count, is_turbo)


def denoised(model: DitNetworks, golden: Case, item: int, fresh: Callable[[], Tensor] = no_noise) -> Tensor:
    params = golden.facts["params"]
    diffusion = diffusion_of(params)
    wanted = steering(model, golden, item, "text", source_of(model, golden, item))
    afterwards = wanted
    if "in.non_cover_text_hidden_states" in golden.tensors:
        silence = model.silence[:, : golden["in.noise"].shape[1]]
        afterwards = steering(model, golden, item, "non_cover_text", silence)
    visited = times(diffusion, model.is_turbo)
    path = route(visited, wanted, afterwards, params.get("audio_cover_strength", 1.0))
    if "in.repaint_mask" in golden.tensors:
        path = replace(path, surroundings=kept(golden, item, path.step_count, model.is_turbo))
    *_, latents = denoise(model, path, diffusion, golden["in.noise"][[item]], fresh)
    return latents


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_render_ends_in_the_latents_of_the_reference(networks: Networks, name: str) -> None:
    golden = case(name)
    model = networks(golden.model)

    latents = [denoised(model, golden, item) for item in range(len(golden["in.noise"]))]

    assert_close(torch.cat(latents), golden["out.latents"])


def test_conditions_of_the_reference_are_met_on_the_way(networks: Networks) -> None:
    golden = case("turbo_cover_codes_strength0p3")
    model = networks(golden.model)

    wanted = steering(model, golden, 0, "text", source_of(model, golden, 0))

    assert_close(wanted.sequence, golden["mid.encoder_hidden_states"])
    assert_close(wanted.context, golden["mid.context_latents"])


@pytest.mark.parametrize("name", ["turbo_sde_shift3", "base_sde_shift1"])
def test_sde_steps_end_in_the_latents_of_the_reference(networks: Networks, name: str) -> None:
    golden = case(name)
    recorded = iter(golden["in.sde_noise"])

    latents = denoised(networks(golden.model), golden, 0, lambda: next(recorded))

    assert_close(latents, golden["out.latents"])


def test_an_item_does_not_depend_on_the_padding_of_its_batch(networks: Networks) -> None:
    golden = case("turbo_ode_batch2_padded")
    model = networks(golden.model)

    first, second = (denoised(model, golden, item)[0] for item in (0, 1))

    # The reference lets the shorter item attend to pads (spec dit.md 2.2); we do not (10.1).
    assert_close(first, golden["out.latents"][0])
    assert not torch.allclose(second, golden["out.latents"][1], atol=1e-3)


def test_a_missing_final_zero_is_added(networks: Networks) -> None:
    golden = case("base_timesteps_no_zero")

    visited = times(diffusion_of(golden.facts["params"]), is_turbo=False)

    # The reference stops at 0.1 and leaves noise in the song (spec dit.md 3.2); we go on to 0.
    assert visited == pytest.approx((1.0, 0.9, 0.7, 0.5, 0.25, 0.1, 0.0))


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0])
def test_eight_turbo_steps_visit_the_published_times(shift: float) -> None:
    published = {
        1.0: [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
        2.0: [1.0, 0.93333333, 0.85714286, 0.76923077, 0.66666667, 0.54545455, 0.4, 0.22222222],
        3.0: [1.0, 0.95454545, 0.9, 0.83333333, 0.75, 0.64285714, 0.5, 0.3],
    }

    visited = times(diffusion_of({"infer_steps": 8, "shift": shift}), is_turbo=True)

    assert visited == pytest.approx((*published[shift], 0.0))


def test_turbo_takes_the_nearest_times_it_knows_each_once() -> None:
    given = (0.97, 0.96, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085)

    visited = schedule.turbo_schedule(given)

    assert visited == pytest.approx((0.95454545, 0.76923077, 0.625, 0.5, 0.4, 0.3, 0.22222222, 0.125, 0.0))
    assert schedule.turbo_schedule(visited) == visited
