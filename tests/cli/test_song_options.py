"""Every parameter of the upstream API is an option under its own name, and sets its field."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.options import parse_codes
from acestep_serve.song_options import SONG_OPTIONS, song_flags, song_request

GENERATION_PARAMS = """
    task_type instruction audio_codes caption lyrics instrumental vocal_language bpm keyscale
    timesignature duration inference_steps seed guidance_scale use_adg cfg_interval_start
    cfg_interval_end shift infer_method timesteps repainting_start repainting_end
    enable_normalization normalization_db fade_in_duration fade_out_duration
    audio_cover_strength thinking lm_temperature lm_cfg_scale lm_top_k lm_top_p lm_negative_prompt
    use_cot_metas use_cot_caption use_cot_lyrics use_cot_language use_constrained_decoding
""".split()
GENERATION_CONFIG = """
    batch_size allow_lm_batch use_random_seed seeds lm_batch_chunk_size constrained_decoding_debug
    audio_format
""".split()
"""The files `reference_audio` and `src_audio` are options of the command itself."""


def given(**values: object) -> dict[str, object]:
    return {option.name: values.get(option.name) for option in SONG_OPTIONS}


@pytest.mark.parametrize("name", [*GENERATION_PARAMS, *GENERATION_CONFIG])
def test_a_parameter_of_the_upstream_api_is_an_option(name: str) -> None:
    assert name in {option.name for option in SONG_OPTIONS}


def test_options_that_are_not_given_stay_absent() -> None:
    assert song_request(given()) == pb.GenerateMusicRequest()


def test_options_set_their_fields() -> None:
    request = song_request(
        given(
            caption="piano",
            duration=30.0,
            task_type="Text2Music",
            infer_method="sde",
            dcw_mode="low",
            retake_seed=5,
            cover_noise_strength=0.5,
            timesteps="[0.97, 0.5, 0]",
            seeds="1,2",
            use_cot_caption=False,
            lm_top_p=1.0,
            audio_format="mp3",
        )
    )

    assert request == pb.GenerateMusicRequest(
        caption="piano",
        duration_seconds=30.0,
        task=music_pb2.TASK_TEXT2MUSIC,
        diffusion=music_pb2.DiffusionParams(
            infer_method=music_pb2.INFER_METHOD_SDE,
            timesteps=[0.97, 0.5, 0.0],
            dcw_mode=music_pb2.DCW_MODE_LOW,
            retake_seed=5,
        ),
        cover=music_pb2.CoverParams(cover_noise_strength=0.5),
        batch=pb.BatchParams(seeds=[1, 2], batch_size=2),
        lm=pb.LmParams(
            sampling=music_pb2.LmSampling(top_p=1.0),
            chain_of_thought=music_pb2.ChainOfThought(use_cot_caption=False),
        ),
        output=pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_MP3),
    )


@pytest.mark.parametrize(
    ("values", "songs"),
    [
        ({"seed": "1"}, 0),
        ({"dit_seeds": "1,2,3", "lm_seeds": "7"}, 3),
        ({"seeds": "1,2", "batch_size": "4"}, 4),
    ],
    ids=str,
)
def test_several_seeds_are_as_many_songs_unless_another_number_is_asked_for(
    values: dict[str, object], songs: int
) -> None:
    assert song_request(given(**values)).batch.batch_size == songs


def test_a_repaint_to_the_end_of_the_file_has_no_end() -> None:
    request = song_request(given(repainting_start=2.5, repainting_end=-1.0))

    assert list(request.repaint.regions) == [music_pb2.Region(start_seconds=2.5)]


def test_several_regions_and_tracks_are_lists() -> None:
    request = song_request(
        given(regions="-1.5:3, 10:", tracks="drums,backing_vocals", repaint_mode="balanced")
    )

    assert list(request.repaint.regions) == [
        music_pb2.Region(start_seconds=-1.5, end_seconds=3.0),
        music_pb2.Region(start_seconds=10.0),
    ]
    assert list(request.tracks) == [music_pb2.TRACK_DRUMS, music_pb2.TRACK_BACKING_VOCALS]
    assert request.repaint.mode == music_pb2.REPAINT_MODE_BALANCED


NOT_ASKED_FOR = {"request_id", "lm.sampling.seed", "output.return_latents", "source_latents"}
"""The id of a request is the client's own, a seed of sampling is refused, and no file holds latents."""


def fields_of(message: Any, path: str = "") -> Iterator[str]:
    """Every field of a request that holds a value of its own."""
    for field in message.DESCRIPTOR.fields:
        name = f"{path}{field.name}"
        nested = field.message_type
        if nested is not None and nested.name not in ("Region", "Latents"):
            yield from fields_of(nested._concrete_class, f"{name}.")
        else:
            yield name


def test_every_field_of_a_request_has_an_option() -> None:
    flags = song_flags(given())

    assert {name for name in fields_of(pb.GenerateMusicRequest) if name not in flags} == NOT_ASKED_FOR


@pytest.mark.parametrize(
    "values",
    [
        {"task_type": "remix"},
        {"regions": "5"},
        {"regions": "a:b"},
        {"regions": "1:2", "repainting_end": 2.0},
        {"tracks": "drums,kazoo"},
        {"timesteps": "1,two"},
        {"audio_codes": "<|audio_code_x|>"},
        {"bpm": 2**40},
        {"seed": 1, "seeds": "2"},
    ],
    ids=str,
)
def test_an_option_that_its_field_cannot_hold_is_a_usage_error(values: dict[str, object]) -> None:
    with pytest.raises(typer.BadParameter):
        song_request(given(**values))


def test_every_value_that_cannot_be_read_is_named_at_once() -> None:
    with pytest.raises(typer.BadParameter) as refused:
        song_request(given(bpm="fast", duration="1m", repainting_end="x", task_type="remix", seed="7"))

    assert [line.partition(": ")[::2] for line in refused.value.message.splitlines()] == [
        ("--bpm", "'fast' is not a whole number"),
        ("--duration", "'1m' is not a number"),
        ("--task-type", "'remix' is not one of text2music, cover, repaint, lego, extract, complete"),
        ("--repainting-end", "'x' is not a number"),
    ]


@pytest.mark.parametrize("text", ["<|audio_code_12|><|audio_code_7|>", "12,7", " 12 7 "])
def test_codes_are_read_as_tokens_or_as_numbers(text: str) -> None:
    assert parse_codes(text) == [12, 7]
