"""No parameter without an effect: each field of a request arrives at the stage that it is for."""

import asyncio
from pathlib import Path

import pytest

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.gateway.conftest import World, opened_world
from tests.gateway.fakes import FakeLm
from tests.gateway.test_generate import events_of, song_request, songs_of

REQUEST = pb.GenerateMusicRequest(
    request_id="every-field",
    model="dit-fake",
    lm_model="lm-fake",
    instruction="Fill it:",
    caption="my caption",
    lyrics="my lyrics",
    vocal_language="bn",
    bpm=91,
    keyscale="Eb minor",
    timesignature="6",
    cover=music_pb2.CoverParams(audio_cover_strength=0.25, cover_noise_strength=0.75),
    diffusion=music_pb2.DiffusionParams(
        inference_steps=5,
        guidance_scale=1.5,
        use_adg=True,
        cfg_interval_start=0.1,
        cfg_interval_end=0.9,
        shift=2.5,
        infer_method=music_pb2.INFER_METHOD_SDE,
        timesteps=[0.9, 0.5],
        sampler_mode=music_pb2.SAMPLER_MODE_HEUN,
        velocity_norm_threshold=2.0,
        velocity_ema_factor=0.1,
        dcw_enabled=True,
        dcw_mode=music_pb2.DCW_MODE_DOUBLE,
        dcw_scaler=0.1,
        dcw_high_scaler=0.2,
        retake_seed=14,
        retake_variance=0.3,
    ),
    lm=pb.LmParams(
        sampling=music_pb2.LmSampling(
            temperature=0.5,
            top_k=40,
            top_p=0.7,
            repetition_penalty=1.1,
            use_constrained_decoding=False,
            constrained_decoding_debug=True,
        ),
        cfg_scale=2.5,
        negative_prompt="noise",
        chain_of_thought=music_pb2.ChainOfThought(use_cot_caption=False, use_cot_language=False),
    ),
    batch=pb.BatchParams(lm_seeds=[11], dit_seeds=[12], plan_seed=13),
    output=pb.OutputParams(
        enable_normalization=False,
        normalization_db=-3.0,
        fade_in_seconds=1.0,
        fade_out_seconds=2.0,
        return_latents=True,
        stream_audio=True,
    ),
)


async def test_what_the_language_model_is_for_reaches_the_language_model(world: World) -> None:
    await songs_of(world.client, REQUEST)

    plan, codes = world.lm.requests
    sampling = music_pb2.LmSampling()
    sampling.CopyFrom(REQUEST.lm.sampling)
    for request, seed in ((plan, 13), (codes, 11)):
        sampling.seed = seed
        assert request.sampling == sampling
        assert (request.caption, request.lyrics, request.model) == ("my caption", "my lyrics", "lm-fake")
    fixed = music_pb2.SongMetadata(bpm=91, keyscale="Eb minor", timesignature="6", language="bn")
    assert plan.fixed == fixed
    assert not plan.chain_of_thought.use_cot_caption
    assert not plan.chain_of_thought.use_cot_language
    assert (codes.cfg_scale, codes.negative_prompt) == (2.5, "noise")
    assert codes.metadata.bpm == 91


@pytest.mark.parametrize(("asked", "used"), [(None, 1.5), (2.5, 2.5)])
async def test_guidance_is_what_was_asked_or_what_the_language_model_recommends(
    tmp_path: Path, asked: float | None, used: float
) -> None:
    lm = FakeLm()
    lm.recommended_cfg_scale = 1.5
    async with opened_world(tmp_path, lm=lm) as world:
        offered = await world.client.capabilities()
        events = await events_of(world.client, song_request(lm=pb.LmParams(cfg_scale=asked)))

    _, codes = lm.requests
    assert codes.cfg_scale == events[0].accepted.effective.lm.cfg_scale == used
    assert offered.lm_defaults.cfg_scale == 1.5


async def test_what_the_diffusion_is_for_reaches_the_diffusion(world: World) -> None:
    await songs_of(world.client, REQUEST)

    (job,) = world.dit.jobs
    assert job.diffusion == REQUEST.diffusion
    assert job.cover == REQUEST.cover
    assert (job.model, job.instruction, job.lyrics, job.seed) == ("dit-fake", "Fill it:", "my lyrics", 12)
    assert (job.metadata.bpm, job.metadata.keyscale, job.metadata.language) == (91, "Eb minor", "bn")
    assert job.metadata.caption == "my caption"
    finish = job.finish
    assert (finish.enable_normalization, finish.normalization_db) == (False, -3.0)
    assert (finish.fade_in_seconds, finish.fade_out_seconds) == (1.0, 2.0)
    assert job.return_latents
    assert job.stream_audio
    assert len(job.audio_codes) == 300


async def test_the_id_of_a_request_reaches_every_stage(world: World) -> None:
    await songs_of(world.client, REQUEST)

    assert set(world.lm.request_ids) == set(world.dit.request_ids) == {"every-field"}


@pytest.mark.parametrize(
    ("lm", "at_once"), [(pb.LmParams(batch_chunk_size=2), 2), (pb.LmParams(allow_batch=False), 1)], ids=str
)
async def test_songs_enter_the_language_model_as_many_at_a_time_as_asked(
    world: World, lm: pb.LmParams, at_once: int
) -> None:
    request = song_request(seeds=(1, 2, 3, 4, 5, 6), bpm=91, keyscale="C major", timesignature="4", lm=lm)
    world.lm.gate.close()
    songs = asyncio.create_task(songs_of(world.client, request))
    async with asyncio.timeout(10):
        while len(world.lm.requests) < at_once:
            await world.client.capabilities()  # goes to the language model and back
    await world.client.capabilities()

    assert len(world.lm.requests) == at_once
    world.lm.gate.open()
    assert len(await songs) == 6


async def test_the_deadline_of_a_caller_is_that_of_each_stage(world: World) -> None:
    async for _ in world.client.generate(REQUEST, timeout_s=9.0):
        pass

    for left in (*world.lm.seconds_left, *world.dit.seconds_left):
        assert left is not None
        assert left <= 9.1  # gRPC rounds what it sends up
