"""What judges a soak: a token that differs is found, and so is memory that grows."""

import os
from dataclasses import replace

from bench.lm_load import Referee
from bench.lm_mix import calls
from bench.memory import Series
from lm_service.engine import Job, Task
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling

JOB = Job(
    prompt=(1, 2),
    task=Task(outline=Outline(phase=Phase.CODES), sampling=Sampling(temperature=0.0, seed=7)),
    max_tokens=3,
    expected_tokens=3,
    stop_tokens=(0,),
)


async def test_a_referee_asks_once_and_names_who_differs() -> None:
    asked = list[Job]()

    async def expected(job: Job) -> list[int]:
        asked.append(job)
        return [4, 5, 6]

    referee = Referee(expected)
    for job, tokens in ((JOB, [4, 5, 6]), (JOB, [4, 9, 6]), (replace(JOB), [4, 5])):
        referee.judge(job, tokens)
    await referee.decided()

    assert asked == [JOB]
    assert (referee.compared.total(), referee.token_count) == (3, 8)
    assert sorted(referee.differing) == [
        "codes unguided constrained, seed 7: token 1 differs",
        "codes unguided constrained, seed 7: token 2 differs",
    ]


def test_memory_is_judged_by_what_it_does_after_the_warm_up() -> None:
    growing, flat = Series("growing", os.getpid()), Series("flat", os.getpid())
    growing.samples = [(minute, 100.0 + 2 * minute) for minute in range(31)]
    flat.samples = [(minute, min(200.0, 50.0 * minute)) for minute in range(31)]
    flat.sample()

    assert round(growing.slope(), 6) == 2.0
    assert flat.samples.pop()[1] > 10
    assert flat.slope() == 0.0
    assert "100 to" not in flat.summary()


def test_the_mix_has_every_mode_and_repeats() -> None:
    pool = calls(40, seed=1)

    names = {name for name, _ in pool}
    assert names == {"Plan", "GenerateCodes", "Understand", "CreateSample", "FormatSample"}
    assert pool == calls(40, seed=1) != calls(40, seed=2)
