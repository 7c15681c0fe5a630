"""What is shown of a generation while it runs."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.live import LiveGeneration, Pace


def progress(phase: pb.Phase, step: int, total: int | None, **more: float) -> pb.Progress:
    return pb.Progress(phase=phase, song_index=0, step_count=step, total_step_count=total, **more)


@pytest.fixture
def pace() -> Pace:
    seconds: Iterator[float] = iter([100.0, 102.0, 106.0, 110.0])
    return Pace(lambda: next(seconds))


def test_what_is_left_follows_from_the_steps_so_far(pace: Pace) -> None:
    told = [pace.left_s(progress(pb.PHASE_DIFFUSION, step, 8)) for step in (1, 2, 4)]

    assert told == [None, 12.0, 8.0]


def test_each_phase_has_its_own_pace(pace: Pace) -> None:
    told = [
        pace.left_s(progress(phase, step, 4))
        for phase, step in ((pb.PHASE_DIFFUSION, 1), (pb.PHASE_DIFFUSION, 4), (pb.PHASE_DECODING, 1))
    ]

    assert told == [None, 0.0, None]


def test_what_the_server_expects_counts_above_all(pace: Pace) -> None:
    assert pace.left_s(progress(pb.PHASE_CODES, 1, 50, estimated_remaining_seconds=7.5)) == 7.5


def test_without_a_number_of_steps_nobody_knows(pace: Pace) -> None:
    assert [pace.left_s(progress(pb.PHASE_PLAN, step, None)) for step in (1, 9)] == [None, None]


WAITING = pb.GenerateMusicResponse(
    queued=pb.Queued(
        stage=pb.STAGE_DIT,
        song_index=0,
        status=music_pb2.QueueStatus(position=3, estimated_wait_seconds=40),
    )
)
WRITING = pb.GenerateMusicResponse(progress=progress(pb.PHASE_CODES, 12, 50, estimated_remaining_seconds=9))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (WAITING, ("waiting: diffusion", "3 ahead", "about 40 s more")),
        (WRITING, ("writing codes", "12/50", "about 9 s more")),
    ],
    ids=["waiting", "writing"],
)
def test_a_terminal_shows_phase_steps_and_time(
    event: pb.GenerateMusicResponse, words: tuple[str, ...]
) -> None:
    screen = io.StringIO()

    with LiveGeneration(Console(file=screen, force_terminal=True, width=120)) as live:
        live.show(event)

    assert all(word in screen.getvalue() for word in words)


def test_a_terminal_shows_that_nothing_was_answered_yet() -> None:
    asked, answered = io.StringIO(), io.StringIO()

    with LiveGeneration(Console(file=asked, force_terminal=True, width=120)):
        pass
    with LiveGeneration(Console(file=answered, force_terminal=True, width=120)) as live:
        live.show(WAITING)

    assert "request" in asked.getvalue()
    assert answered.getvalue().rpartition("request")[2].count("song 1")


def test_what_the_language_model_planned_is_told_as_such() -> None:
    output = io.StringIO()

    with LiveGeneration(Console(file=output)) as display:
        display.show(pb.GenerateMusicResponse(plan_field=pb.PlanField(name="caption", value="a waltz")))

    assert "  planned caption: a waltz\n" in output.getvalue()
