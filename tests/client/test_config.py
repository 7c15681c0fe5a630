"""Each field of `GenerationConfig`: what it changes. docs/inference_api.md names these tests."""

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acestep.inference import GenerationConfig
from tests.client.conftest import Studio
from tests.client.test_params import SONG, of, ok


def config(**values: Any) -> GenerationConfig:
    return GenerationConfig(**{"use_random_seed": False, "batch_size": 1} | values)


def seeds_of(result: Any) -> list[int]:
    return [audio["params"]["seed"] for audio in result.audios]


async def test_batch_size_is_the_number_of_songs(studio: Studio) -> None:
    result = await ok(studio, SONG, config(batch_size=3))

    assert len(result.audios) == 3
    assert len({audio["key"] for audio in result.audios}) == 3


async def test_a_batch_size_out_of_range_is_refused_by_its_name(studio: Studio) -> None:
    result = await studio.generate(SONG, config(batch_size=9))

    assert result.error == "batch_size must be within [1, 8]; received 9"


@pytest.mark.parametrize(
    ("values", "at_once"),
    [
        ({"allow_lm_batch": False}, 1),
        ({"allow_lm_batch": True}, 4),
        ({"allow_lm_batch": True, "lm_batch_chunk_size": 2}, 2),
        ({"allow_lm_batch": True, "lm_batch_chunk_size": 0}, 4),
    ],
    ids=str,
)
async def test_allow_lm_batch_and_lm_batch_chunk_size_say_how_many_songs_are_written_at_once(
    studio: Studio, values: dict[str, Any], at_once: int
) -> None:
    studio.world.lm.gate.close()
    making = asyncio.create_task(ok(studio, of(use_cot_metas=False), config(batch_size=4, **values)))
    await studio.world.lm.gate.waiting.wait()
    async with asyncio.timeout(20):
        while len(studio.world.lm.requests) < at_once:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # one too many would come now
    began = len(studio.world.lm.requests)
    studio.world.lm.gate.open()

    result = await making

    assert began == at_once
    assert len(result.audios) == 4


async def test_use_random_seed_overrides_the_seeds_and_a_note_says_so(studio: Studio) -> None:
    result = await ok(studio, of(seed=7), config(use_random_seed=True, seeds=[5]))

    assert seeds_of(result)[0] not in (5, 7)
    assert "the seeds given are not used: use_random_seed is True" in result.status_message


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [([42, 123, 456], [42, 123, 456]), (42, [42]), ([42, -1, 456], [42, None, 456]), (None, [77])],
    ids=str,
)
async def test_seeds_are_those_of_the_songs_and_missing_ones_are_drawn(
    studio: Studio, seeds: Any, expected: list[int | None]
) -> None:
    result = await ok(studio, of(seed=77), config(batch_size=4, seeds=seeds))

    expected += [None] * (4 - len(expected))
    drawn = [made for made, given in zip(seeds_of(result), expected, strict=True) if given is None]
    assert [made for made in seeds_of(result) if made not in drawn] == [each for each in expected if each]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= seed < 2**32 for seed in drawn)


async def test_seeds_beyond_the_batch_are_left_out_and_a_note_says_so(studio: Studio) -> None:
    result = await ok(studio, SONG, config(batch_size=2, seeds=[1, 2, 3]))

    assert seeds_of(result) == [1, 2]
    assert "only the first 2 of 3 seeds are used" in result.status_message


@pytest.mark.parametrize("seeds", [["a"], [1.5], [-2]], ids=str)
async def test_what_is_no_seed_is_refused(studio: Studio, seeds: Any) -> None:
    result = await studio.generate(SONG, config(seeds=seeds))

    assert not result.success
    assert str(result.error).startswith("seed")


async def test_constrained_decoding_debug_reaches_the_language_model(studio: Studio) -> None:
    await ok(studio, SONG, config(constrained_decoding_debug=True))

    assert studio.asked("PlanRequest").sampling.constrained_decoding_debug


@pytest.mark.parametrize(
    ("name", "container", "suffix"),
    [("flac", "FLAC", ".flac"), ("wav", "WAV", ".wav"), ("mp3", "MP3", ".mp3"), ("wav32", "WAV", ".wav")],
)
async def test_audio_format_is_that_of_the_file(
    studio: Studio, tmp_path: Path, name: str, container: str, suffix: str
) -> None:
    result = await studio.generate(SONG, config(audio_format=name), save_dir=str(tmp_path))

    (audio,) = result.audios
    file = Path(audio["path"])
    assert (file.suffix, soundfile.info(io.BytesIO(file.read_bytes())).format) == (suffix, container)
    assert audio["tensor"].shape == (2, 480_000)
    if name != "mp3":
        stored, _ = soundfile.read(file, dtype="float32")
        assert np.array_equal(np.asarray(audio["tensor"]).T, stored)


async def test_an_unknown_audio_format_is_refused(studio: Studio) -> None:
    result = await studio.generate(SONG, config(audio_format="opus"))

    assert result.error == "audio_format must be one of flac, wav, mp3, wav32; received 'opus'"
