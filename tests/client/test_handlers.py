"""`AceStepHandler` and `LLMHandler`: connecting, and what they say about it."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acestep.handler import AceStepHandler
from acestep.inference import GenerationParams, create_sample, generate_music
from acestep.llm_inference import LLMHandler
from tests.client.conftest import Studio
from tests.client.test_params import SONG
from tests.gateway.conftest import World


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (
            AceStepHandler.initialize_service,
            "project_root config_path device='auto' use_flash_attention=False compile_model=False"
            " offload_to_cpu=False offload_dit_to_cpu=False quantization=None prefer_source=None",
        ),
        (
            LLMHandler.initialize,
            "checkpoint_dir lm_model_path backend='vllm' device='auto' offload_to_cpu=False dtype=None",
        ),
    ],
)
def test_signatures_are_upstreams_and_an_address_by_name(
    method: Callable[..., Any], parameters: str
) -> None:
    given = list(inspect.signature(method).parameters.values())[1:]

    *ours, address = given
    shown = [each.name if each.default is each.empty else f"{each.name}={each.default!r}" for each in ours]
    assert shown == parameters.split()
    assert (address.name, address.kind) == ("address", inspect.Parameter.KEYWORD_ONLY)


async def test_a_served_model_is_found_and_what_is_ignored_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    studio = Studio(world)

    with caplog.at_level(logging.INFO, "acestep"):
        status, done = await studio.call(
            studio.dit.initialize_service,
            project_root="/opt/ace",
            config_path="checkpoints/dit-fake",
            device="cuda",
            offload_to_cpu=True,
            quantization="int8_weight_only",
            address=world.address,
        )

    assert done
    assert status.splitlines() == [
        f"Connected to {world.address}, model dit-fake.",
        "Ignored, as models live on the server: project_root='/opt/ace', device='cuda',"
        " offload_to_cpu=True, quantization='int8_weight_only'",
    ]
    assert [record.message for record in caplog.records if record.name == "acestep"] == [status]


async def test_a_model_that_is_not_served_is_named_with_those_that_are(world: World) -> None:
    studio = Studio(world)
    llm = LLMHandler()

    status, done = await studio.call(
        studio.dit.initialize_service, "", "acestep-v15-sft", address=world.address
    )
    lm_status, lm_done = await studio.call(
        llm.initialize, "", "acestep-5Hz-lm-4B", backend="pt", address=world.address
    )

    assert not done
    assert not lm_done
    assert status == (
        f"The diffusion model 'acestep-v15-sft' is not served at {world.address}: served are dit-fake."
    )
    assert "'acestep-5Hz-lm-4B' is not served" in lm_status
    assert "served are lm-fake" in lm_status
    assert not llm.llm_initialized


async def test_a_language_model_that_is_not_ready_is_said(world: World) -> None:
    world.lm_server.refuse()
    async with asyncio.timeout(20):
        while (await world.client.capabilities()).lm_models:
            await asyncio.sleep(0.01)

    status, done = await Studio(world).call(LLMHandler().initialize, "", "lm-fake", address=world.address)

    assert not done
    assert status.endswith("none is ready.")


async def test_the_environment_says_where_the_gateway_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_ADDRESS", world.address)
    studio = Studio(world)

    _, done = await studio.call(studio.dit.initialize_service, "", "dit-fake")

    assert done


def test_without_a_gateway_nothing_is_raised() -> None:
    status, done = AceStepHandler().initialize_service("", "dit-fake", address="localhost:1")

    assert not done
    assert "start one with: acestep-serve up" in status


async def test_a_name_that_is_none_is_an_answer_too(world: World) -> None:
    wrong: Any = 5

    status, done = await Studio(world).call(
        AceStepHandler().initialize_service, "", wrong, address=world.address
    )

    assert not done
    assert status


def test_a_tls_file_that_is_missing_is_named_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ACESTEP_TLS_CA", "/nowhere/ca.pem")

    status, done = AceStepHandler().initialize_service("", "dit-fake", address="localhost:1")

    assert not done
    assert "/nowhere/ca.pem" in status
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", status)]


def test_a_handler_that_is_not_connected_makes_no_songs() -> None:
    result = generate_music(AceStepHandler(), LLMHandler(), SONG, None)  # type: ignore[arg-type]

    assert result.error == "Model not fully initialized"
    assert result.status_message == ("Model not fully initialized. Please initialize all components first.")


def test_a_language_model_that_is_not_connected_invents_nothing() -> None:
    result = create_sample(LLMHandler(), "a song")

    assert (result.success, result.error) == (False, "LLM not initialized")
    assert result.status_message == "5Hz LM not initialized. Please initialize it first."


async def test_without_a_language_model_the_diffusion_works_alone(world: World) -> None:
    studio = Studio(world, llm=None)
    await studio.connect()

    result = await studio.generate(GenerationParams(caption="x", duration=10))

    assert result.success, result.error
    assert not world.lm.requests
    assert (
        "Note: no effect without a language model in llm_handler: thinking, use_cot_"
        in result.status_message
    )
    assert "lm_total_time" not in result.extra_outputs["time_costs"]


async def test_a_gateway_that_has_two_addresses_is_one(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    llm = LLMHandler()
    same_by_another_name = studio.world.address.replace("localhost", "127.0.0.1")
    await studio.call(llm.initialize, "", "lm-fake", address=same_by_another_name)
    studio.llm = llm

    result = await studio.generate(SONG)

    assert result.success, result.error
    assert f"the song is made at {studio.world.address}" in caplog.text


async def test_a_language_model_that_the_other_gateway_lacks_is_named(studio: Studio) -> None:
    assert studio.llm is not None
    assert studio.llm.gateway is not None
    studio.llm.gateway = replace(studio.llm.gateway, address="elsewhere:50050")
    studio.llm.model = "lm-elsewhere"

    result = await studio.generate(SONG)

    assert "llm_handler must have a model that is served at" in str(result.error)
    assert "received 'lm-elsewhere'" in str(result.error)
