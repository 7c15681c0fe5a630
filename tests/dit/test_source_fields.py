"""What the tasks that work on a source ask for and refuse."""

import math

import numpy as np
import pytest

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from dit_service import orders, prompt
from dit_service.canvas import Region
from dit_service.engine import Keeping, SourceLatents, SourceSound, Task
from dit_service.orders import RenderOrder
from tests.dit.fakes import BASE, TURBO
from tests.dit.golden import wave

NAN = math.nan
CODES = range(50)
BASE_TASKS = (music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT, music_pb2.TASK_COMPLETE)
SOURCE_TASKS = (music_pb2.TASK_COVER, music_pb2.TASK_REPAINT, *BASE_TASKS)
TRACKS = {
    music_pb2.TASK_LEGO: [music_pb2.TRACK_DRUMS],
    music_pb2.TASK_EXTRACT: [music_pb2.TRACK_BACKING_VOCALS],
    music_pb2.TASK_COMPLETE: [music_pb2.TRACK_DRUMS, music_pb2.TRACK_BASS],
}
MODES = music_pb2.RepaintMode


def job(task: music_pb2.Task, **fields: object) -> pb.RenderJob:
    usual = {"model": "acestep-v15-base", "has_source_audio": True, "tracks": TRACKS.get(task)}
    return pb.RenderJob(task=task, **usual | fields)  # type: ignore[arg-type]


def repaint(*regions: tuple[float, float | None], **fields: object) -> pb.RenderJob:
    listed = [music_pb2.Region(start_seconds=start, end_seconds=end) for start, end in regions]
    params = music_pb2.RepaintParams(regions=listed, **fields)  # type: ignore[arg-type]
    return job(music_pb2.TASK_REPAINT, repaint=params)


def lego(*regions: tuple[float, float | None]) -> pb.RenderJob:
    return job(music_pb2.TASK_LEGO, repaint=repaint(*regions).repaint)


def order(message: pb.RenderJob) -> RenderOrder:
    return orders.render_order(message, (TURBO, BASE), latent_channels=8)


def latents(frames: int = 100, value: float = 1.0) -> music_pb2.Latents:
    data = np.full((frames, 8), value, "<f4").tobytes()
    return music_pb2.Latents(data=data, frame_count=frames, channel_count=8)


BAD = {
    "job.has_source_audio": [
        *(job(task, has_source_audio=False) for task in SOURCE_TASKS),
        job(music_pb2.TASK_COVER, audio_codes=CODES),
        job(music_pb2.TASK_TEXT2MUSIC),
    ],
    "job.source_latents": [
        job(music_pb2.TASK_COVER, source_latents=latents()),
        job(music_pb2.TASK_COVER, has_source_audio=False, source_latents=latents(), audio_codes=CODES),
    ],
    "job.source_latents.data": [
        job(music_pb2.TASK_COVER, has_source_audio=False, source_latents=latents(value=value))
        for value in (0.0, NAN)
    ],
    "job.source_latents.frame_count": [
        job(music_pb2.TASK_COVER, has_source_audio=False, source_latents=latents(frames))
        for frames in (0, 15_001)
    ],
    "job.audio_codes": [job(task, audio_codes=CODES) for task in (music_pb2.TASK_REPAINT, *BASE_TASKS)],
    "job.cover.audio_cover_strength": [
        job(task, cover=music_pb2.CoverParams(audio_cover_strength=0.5))
        for task in (music_pb2.TASK_REPAINT, *BASE_TASKS)
    ],
    "job.tracks": [
        *(job(task, tracks=[]) for task in BASE_TASKS),
        *(job(task, tracks=[1, 2]) for task in (music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT)),
        *(job(task, tracks=[1]) for task in (music_pb2.TASK_COVER, music_pb2.TASK_REPAINT)),
        *(job(music_pb2.TASK_COMPLETE, tracks=tracks) for tracks in ([0], [99], [3, 3])),
    ],
    "job.repaint.regions": [
        lego((0, 1), (2, 3)),
        job(music_pb2.TASK_COVER, repaint=repaint((0, 1)).repaint),
        job(music_pb2.TASK_EXTRACT, repaint=repaint((0, 1)).repaint),
    ],
    "job.repaint.regions[0].start_seconds": [repaint((start, 1)) for start in (NAN, -601, -math.inf)],
    "job.repaint.regions[0].end_seconds": [
        *(repaint((2, end)) for end in (2, 1, 601, NAN, math.inf)),
        repaint((-2, -2)),
        lego((2, 1)),
    ],
    "job.repaint.regions[1].start_seconds": [
        repaint((0, 2), (1, 3)),
        repaint((4, 5), (1, 3)),
        repaint((0, None), (9, 10)),
    ],
    "job.repaint.mode": [repaint(mode=99), job(music_pb2.TASK_COVER, repaint=repaint(mode=1).repaint)],
    "job.repaint.strength": [
        *(repaint(strength=value) for value in (-0.1, 1.1, NAN)),
        *(repaint(strength=0.5, mode=mode) for mode in (1, 3)),
        job(music_pb2.TASK_LEGO, repaint=repaint(strength=0.5).repaint),
    ],
}


@pytest.mark.parametrize(
    ("field", "message"), [(field, message) for field, messages in BAD.items() for message in messages]
)
def test_a_bad_field_is_named(field: str, message: pb.RenderJob) -> None:
    with pytest.raises(AceError) as caught:
        order(message)

    assert caught.value.kind is Kind.INVALID
    assert caught.value.violations[0].field == field


def test_latents_of_an_impossible_shape_are_told_by_it_alone() -> None:
    shape = music_pb2.Latents(data=b"1234", frame_count=-1, channel_count=2)

    with pytest.raises(AceError) as caught:
        order(job(music_pb2.TASK_COVER, has_source_audio=False, source_latents=shape))

    assert [(item.field, item.rule) for item in caught.value.violations] == [
        ("job.source_latents.frame_count", "must be within [1, 15000]"),
        ("job.source_latents.channel_count", "must be 8"),
    ]


@pytest.mark.parametrize(
    ("task", "instruction"),
    [
        (music_pb2.TASK_COVER, "Generate audio semantic tokens based on the given conditions:"),
        (music_pb2.TASK_REPAINT, "Repaint the mask area based on the given conditions:"),
        (music_pb2.TASK_LEGO, "Generate the DRUMS track based on the audio context:"),
        (music_pb2.TASK_EXTRACT, "Extract the BACKING_VOCALS track from the audio:"),
        (music_pb2.TASK_COMPLETE, "Complete the input track with DRUMS | BASS:"),
    ],
)
def test_each_task_tells_the_model_what_to_do_unless_the_caller_does(
    task: music_pb2.Task, instruction: str
) -> None:
    left_alone = job(task, instruction=prompt.TEXT2MUSIC_INSTRUCTION)

    assert prompt.instruction(order(job(task)).job) == instruction
    assert prompt.instruction(order(left_alone).job) == instruction
    assert prompt.instruction(order(job(task, instruction="Sing")).job) == "Sing:"


@pytest.mark.parametrize("task", [music_pb2.TASK_COVER, music_pb2.TASK_REPAINT])
def test_turbo_models_cover_and_repaint(task: music_pb2.Task) -> None:
    made = order(job(task, model="acestep-v15-turbo"))

    assert made.uploads == ("source_audio",)
    assert made.awaits_source


@pytest.mark.parametrize(
    ("params", "keeping"),
    [
        ({}, Keeping(0.5, 12, True, 0.025)),
        ({"strength": 0.0}, Keeping(1.0, 25, True, 0.05)),
        ({"strength": 1.0, "mode": MODES.REPAINT_MODE_BALANCED}, Keeping(0.0, 0, True, 0.0)),
        ({"mode": MODES.REPAINT_MODE_CONSERVATIVE}, Keeping(1.0, 25, True, 0.05)),
        ({"mode": MODES.REPAINT_MODE_AGGRESSIVE}, Keeping(0.0, 0, False, 0.0)),
    ],
)
def test_the_mode_says_how_much_of_the_surroundings_is_kept(
    params: dict[str, object], keeping: Keeping
) -> None:
    assert order(repaint((1, 2), **params)).job.keeping == keeping


@pytest.mark.parametrize("message", [repaint(), lego()])
def test_no_region_means_the_whole_source(message: pb.RenderJob) -> None:
    assert order(message).job.regions == (Region(0.0, None),)


def test_the_source_decides_the_length_and_the_prompt() -> None:
    message = job(music_pb2.TASK_COVER, metadata=music_pb2.SongMetadata(duration_seconds=90))

    made = orders.with_source(order(message), SourceSound(wave(288_777, kind=0)))

    assert made.job.frame_count == 150
    assert made.job.duration_s == pytest.approx(6.0161875)
    assert made.warnings == ("the prompt says 6.0 s, the length of the source, not 90 s",)
    assert not made.awaits_source


def test_latents_are_a_source_too_but_nothing_to_splice() -> None:
    message = repaint((1, 2))
    message.has_source_audio = False
    message.source_latents.CopyFrom(latents(100))

    made = order(message)

    assert isinstance(made.job.source, SourceLatents)
    assert (made.job.task, made.job.frame_count, made.job.duration_s) == (Task.REPAINT, 100, 4.0)
    assert made.job.keeping is not None
    assert not made.job.keeping.splices
    assert made.finish.enable_normalization
    assert "no samples" in made.warnings[0]


def test_a_spliced_repaint_keeps_the_level_of_its_source_unless_told_otherwise() -> None:
    told = repaint((1, 2))
    told.finish.enable_normalization = True

    assert not order(repaint((1, 2))).finish.enable_normalization
    assert "level of its source" in order(repaint((1, 2))).warnings[0]
    assert order(told).finish.enable_normalization
    assert "changes the level" in order(told).warnings[0]
    assert order(repaint((1, 2), mode=MODES.REPAINT_MODE_AGGRESSIVE)).finish.enable_normalization


@pytest.mark.parametrize(
    ("regions", "field"),
    [
        ([(6.5, None)], "job.repaint.regions[0].start_seconds"),
        ([(0, 1), (7, None)], "job.repaint.regions[1].start_seconds"),
        ([(-597, 1)], "job.repaint.regions"),
        ([(-400, 400)], "job.repaint.regions"),
    ],
)
def test_regions_must_fit_the_source(regions: list[tuple[float, float | None]], field: str) -> None:
    with pytest.raises(AceError) as caught:
        orders.with_source(order(repaint(*regions)), SourceSound(wave(288_777, kind=0)))

    assert caught.value.kind is Kind.INVALID
    assert caught.value.violations[0].field == field
