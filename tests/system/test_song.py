"""From a text to a file, through three processes."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acestep.client import Client
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep.songs import SongCollector, SongFile
from tests.system.conftest import System

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

GIVEN = {"bpm": 100, "keyscale": "C major", "timesignature": "4", "duration_seconds": 10.0}
"""With these nothing is left to plan, so that a song is quick."""


def song_request(*seeds: int, **fields: object) -> pb.GenerateMusicRequest:
    request = pb.GenerateMusicRequest(caption="slow piano, rain", lyrics="[Verse]\nla la", **GIVEN)  # type: ignore[arg-type]
    request.MergeFrom(pb.GenerateMusicRequest(**fields))  # type: ignore[arg-type]
    request.batch.batch_size = len(seeds)
    request.batch.seeds.extend(seeds)
    return request


async def songs_of(client: Client, request: pb.GenerateMusicRequest) -> list[SongFile]:
    collector = SongCollector()
    async for event in client.generate(request, timeout_s=120):
        collector.add(event)
    return sorted(collector.files, key=lambda file: file.song.song_index)


def test_one_command_makes_a_playable_song_from_a_text(system: System, tmp_path: Path) -> None:
    done = system.run(
        "generate", "--caption", "slow piano, rain", "--lyrics", "[Verse]\nla la", "--duration", "12",
        "--seed", "7", "--picture", "--json", cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (song,) = report["songs"]
    samples, rate = soundfile.read(tmp_path / song["path"], always_2d=True)
    assert (rate, samples.shape) == (48_000, (12 * 48_000, 2))
    assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    assert (tmp_path / song["path"]).with_suffix(".png").stat().st_size > 10_000
    assert len(song["audio_codes"]) == 60
    assert 30 <= report["result"]["plan"]["metadata"]["bpm"] <= 300
    sidecar = json.loads((tmp_path / song["path"]).with_suffix(".json").read_text())
    assert sidecar["song"]["audio_codes"] == song["audio_codes"]


async def test_the_same_seed_makes_the_same_file_alone_in_a_batch_and_among_others(client: Client) -> None:
    (alone,) = await songs_of(client, song_request(7))
    in_batch, *_ = await songs_of(client, song_request(7, 8, 9, 10))
    among_others = await asyncio.gather(
        songs_of(client, song_request(7)),
        *(songs_of(client, song_request(100 + i, duration_seconds=10.0 + i)) for i in range(8)),
    )
    (other_seed,) = await songs_of(client, song_request(8))

    assert in_batch.data == alone.data
    assert among_others[0][0].data == alone.data
    assert other_seed.data != alone.data
    assert list(other_seed.song.audio_codes) != list(alone.song.audio_codes)


async def test_a_planned_song_is_made_again_by_its_seed(client: Client) -> None:
    request = pb.GenerateMusicRequest(caption="a march", duration_seconds=10.0)
    request.batch.seeds.append(5)

    first, again = await songs_of(client, request), await songs_of(client, request)

    assert first[0].data == again[0].data


def test_a_song_is_made_again_from_its_json(system: System, tmp_path: Path) -> None:
    system.run("generate", "--caption", "a march", "--duration", "10.5", "--batch-size", "2", cwd=tmp_path)
    for song in sorted((tmp_path / "out").glob("*.json")):
        done = system.run("generate", "--like", str(song), "-o", "again", "--json", cwd=tmp_path)
        (again,) = json.loads(done.stdout)["songs"]

        assert (tmp_path / again["path"]).read_bytes() == song.with_suffix(".flac").read_bytes()


async def test_codes_of_a_song_give_the_song_again_without_the_language_model(client: Client) -> None:
    (song,) = await songs_of(client, song_request(7))
    request = song_request(7, audio_codes=song.song.audio_codes)

    (again,) = await songs_of(client, request)

    assert again.data == song.data


async def test_a_song_without_thinking_is_made_by_the_diffusion_alone(client: Client) -> None:
    (song,) = await songs_of(client, song_request(7, lm=pb.LmParams(thinking=False)))

    assert not song.song.audio_codes
    assert soundfile.info(io.BytesIO(song.data)).frames == 480_000


async def test_progress_is_reported_by_phase_and_step(client: Client) -> None:
    steps: dict[int, list[int]] = {}
    async for event in client.generate(song_request(3), timeout_s=120):
        if event.HasField("progress"):
            steps.setdefault(event.progress.phase, []).append(event.progress.step_count)

    assert steps[pb.PHASE_DIFFUSION] == list(range(1, 9))
    assert steps[pb.PHASE_CODES] == sorted(steps[pb.PHASE_CODES])
    assert len(steps[pb.PHASE_CODES]) >= 2
    assert pb.PHASE_DECODING in steps


def test_the_other_commands_answer(system: System, tmp_path: Path) -> None:
    offered = json.loads(system.run("capabilities", "--json", cwd=tmp_path).stdout)
    sample = system.run("create", "a quiet song", "--instrumental", "--seed", "1", "--json", cwd=tmp_path)
    formatted = system.run(
        "format", "--caption", "latin pop", "--lyrics", "la", "--bpm", "95", "--seed", "1", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    heard = system.run("understand", "--audio-codes", "1,2,3", "--seed", "1", "--json", cwd=tmp_path)

    assert offered["dit_models"][0]["model"]["name"] == "acestep-v15-turbo"
    for done in (sample, formatted, heard):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["description"]["metadata"]["keyscale"]
    assert json.loads(sample.stdout)["description"]["instrumental"]
    assert json.loads(formatted.stdout)["description"]["metadata"]["bpm"] == 95


async def test_an_audio_file_is_understood(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    soundfile.write(path, np.sin(np.arange(44_100 * 2) / 20) * 0.5, 44_100)
    audio_id = (await client.upload(path)).audio_id
    request = pb.UnderstandMusicRequest(audio_id=audio_id, sampling=music_pb2.LmSampling(seed=3))

    events = [event async for event in client.understand(request, timeout_s=120)]

    assert len(events[-1].result.audio_codes) == 10
    assert events[-1].result.description.metadata.bpm


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    seconds = np.arange(48_000 * 12) / 48_000
    wave = np.sin(2 * np.pi * 220 * seconds) * 0.3
    soundfile.write(path, np.stack([wave, wave], axis=1), 48_000, subtype="FLOAT")
    return path


async def test_a_cover_of_a_file_is_as_long_as_the_file(client: Client, tone: Path) -> None:
    source = (await client.upload(tone)).audio_id
    cover = pb.GenerateMusicRequest(task=music_pb2.TASK_COVER, caption="jazz", source_audio_id=source)
    cover.batch.seeds.append(3)

    (song,) = await songs_of(client, cover)

    assert soundfile.info(io.BytesIO(song.data)).frames == 12 * 48_000
    assert song.song.actual_duration_seconds == 12.0


async def test_a_repaint_keeps_every_sample_outside_its_region(client: Client, tone: Path) -> None:
    source = (await client.upload(tone)).audio_id
    repaint = pb.GenerateMusicRequest(
        task=music_pb2.TASK_REPAINT,
        caption="a piano solo",
        source_audio_id=source,
        repaint=music_pb2.RepaintParams(regions=[music_pb2.Region(start_seconds=4.0, end_seconds=6.0)]),
        output=pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_WAV32),
    )

    (song,) = await songs_of(client, repaint)

    painted, _ = soundfile.read(io.BytesIO(song.data), dtype="float32")
    given, _ = soundfile.read(tone, dtype="float32")
    fade = 48_000  # the crossfade is shorter than this
    assert np.array_equal(painted[: 4 * 48_000 - fade], given[: 4 * 48_000 - fade])
    assert np.array_equal(painted[6 * 48_000 + fade :], given[6 * 48_000 + fade :])
    assert not np.array_equal(painted[4 * 48_000 : 6 * 48_000], given[4 * 48_000 : 6 * 48_000])
