"""`LmService` through a real gRPC server, over an engine that the test controls."""

import asyncio
import logging
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1.music_pb2 import ChainOfThought, LmSampling, SongMetadata
from lm_service.prompt import NO_USER_INPUT
from tests.lm.calls import all_of, codes, error_of, plan
from tests.lm.conftest import Connector
from tests.lm.fakes import BrokenEngine, FakeEngine
from tests.lm.golden import vocabulary

NAN = float("nan")


async def test_a_plan_comes_field_by_field_and_then_complete(connect: Connector) -> None:
    async with connect(FakeEngine()) as lm:
        events = await all_of(lm.Plan(plan()))

    fields = {event.field.name: event.field.value for event in events if event.HasField("field")}
    result = events[-1].result
    assert list(fields) == ["bpm", "caption", "duration_seconds", "keyscale", "language", "timesignature"]
    assert fields["bpm"] == str(result.metadata.bpm)
    assert fields["caption"] == result.metadata.caption
    assert [event.WhichOneof("event") for event in events].count("result") == 1
    assert result.usage.seed == 1
    assert result.usage.model.name == "acestep-5Hz-lm-fake"


async def test_progress_comes_at_least_every_16_tokens(connect: Connector) -> None:
    async with connect(FakeEngine()) as lm:
        events = await all_of(lm.Plan(plan()))

    counts = [event.progress.token_count for event in events if event.HasField("progress")]
    assert all(later - earlier <= 16 for earlier, later in zip([0, *counts], counts, strict=False))
    assert counts[-1] == events[-1].result.usage.output_token_count


async def test_a_plan_repeats_itself_when_given_the_seed_it_reported(connect: Connector) -> None:
    async with connect(FakeEngine()) as lm:
        first = (await all_of(lm.Plan(plan(seed=None))))[-1].result
        again = (await all_of(lm.Plan(plan(seed=first.usage.seed))))[-1].result
        other = (await all_of(lm.Plan(plan(seed=None))))[-1].result

    assert again.metadata == first.metadata
    assert other.usage.seed != first.usage.seed


async def test_what_the_user_fixed_is_in_the_plan_exactly(connect: Connector) -> None:
    fixed = SongMetadata(
        bpm=95, duration_seconds=77.5, keyscale="c Minor", language="no", timesignature="4/4"
    )
    async with connect(FakeEngine()) as lm:
        planned = (await all_of(lm.Plan(plan(fixed=fixed))))[-1].result.metadata

    assert planned.caption
    planned.ClearField("caption")
    assert planned == SongMetadata(
        bpm=95, duration_seconds=77.5, keyscale="C minor", language="no", timesignature="4"
    )


async def test_parts_that_are_not_wanted_are_not_planned(connect: Connector) -> None:
    thought = ChainOfThought(use_cot_caption=False, use_cot_language=False)
    async with connect(FakeEngine()) as lm:
        free = (await all_of(lm.Plan(plan(chain_of_thought=thought))))[-1].result.metadata
        given = plan(chain_of_thought=thought, fixed=SongMetadata(language="bn"))
        fixed = (await all_of(lm.Plan(given)))[-1].result.metadata

    assert not free.HasField("caption")
    assert not free.HasField("language")
    assert fixed.language == "bn"


@pytest.mark.parametrize("duration_s", [0.2, 2.9, 12.2])
async def test_a_duration_means_floor_of_five_codes_a_second(connect: Connector, duration_s: float) -> None:
    async with connect(FakeEngine()) as lm:
        events = await all_of(lm.GenerateCodes(codes(duration_seconds=duration_s)))

    written = [code for event in events for code in event.codes.codes]
    assert len(written) == int(5 * duration_s) == events[-1].result.code_count
    assert all(0 <= code < 64_000 for code in written)
    assert events[0].progress.expected_token_count == int(5 * duration_s)


async def test_the_planned_duration_counts_when_none_is_given(connect: Connector) -> None:
    request = pb.GenerateCodesRequest(caption="c", metadata=SongMetadata(duration_seconds=10.0))
    async with connect(FakeEngine()) as lm:
        events = await all_of(lm.GenerateCodes(request))

    assert events[-1].result.code_count == 50


async def test_an_unknown_language_is_part_of_a_plan_but_fixes_nothing(connect: Connector) -> None:
    engine, unknown = FakeEngine(), SongMetadata(language="unknown")
    async with connect(engine) as lm:
        await all_of(lm.GenerateCodes(codes(metadata=unknown)))
        await all_of(lm.Plan(plan(fixed=unknown)))
        await all_of(lm.CreateSample(pb.CreateSampleRequest(vocal_language="unknown")))

    assert "<think>\nlanguage: unknown\n</think>" in vocabulary().decode(engine.jobs[0].prompt)
    assert [job.task.outline.fixed for job in engine.jobs[1:]] == [(), ()]


async def test_without_any_duration_the_model_decides(connect: Connector) -> None:
    engine = FakeEngine(script="<|audio_code_1|><|audio_code_5|><|im_end|>")
    async with connect(engine) as lm:
        events = await all_of(lm.GenerateCodes(pb.GenerateCodesRequest(caption="c")))

    assert [code for event in events for code in event.codes.codes] == [1, 5]
    assert engine.jobs[0].task.outline.code_count is None


async def test_guidance_is_on_by_default_and_leads_away_from_the_sentinel(connect: Connector) -> None:
    engine = FakeEngine()
    async with connect(engine) as lm:
        await all_of(lm.GenerateCodes(codes()))
        await all_of(lm.GenerateCodes(codes(negative_prompt="noise")))
        await all_of(lm.GenerateCodes(codes(cfg_scale=1.0)))

    texts = [vocabulary().decode(job.task.unconditional) for job in engine.jobs]
    assert NO_USER_INPUT in texts[0]
    assert "user\nnoise<|im_end|>" in texts[1]
    assert [job.row_count for job in engine.jobs] == [2, 2, 1]
    assert [job.task.scale for job in engine.jobs[:2]] == [2.0, 2.0]


async def test_defaults_of_sampling_are_those_of_the_contract(connect: Connector) -> None:
    engine = FakeEngine()
    async with connect(engine) as lm:
        await all_of(lm.Plan(plan()))
        await all_of(lm.GenerateCodes(codes()))

    text, song = (job.task.sampling for job in engine.jobs)
    assert (text.temperature, text.top_k, text.top_p, text.repetition_penalty) == (0.85, 0, 1.0, 1.0)
    assert (song.temperature, song.top_k, song.top_p, song.repetition_penalty) == (0.85, 0, 0.9, 1.0)


PLANNED = (
    "<think>\nbpm: 120\ncaption: secretwords\nduration: 60\nkeyscale: C major\nlanguage: en\n"
    "timesignature: 4\n<|im_end|>"
)
DESCRIBED = (
    "<think>\nbpm: 120\ncaption: A.\nduration: 60\nlanguage: en\n</think>\n\n# Lyric\nla la<|im_end|>"
)
SILENT = "<think>\nbpm: 120\n</think>\n\n<|im_end|>"


async def test_codes_are_understood_as_metadata_and_lyrics(connect: Connector) -> None:
    engine = FakeEngine(script=DESCRIBED)
    async with connect(engine) as lm:
        events = await all_of(lm.Understand(pb.UnderstandRequest(audio_codes=[5, 0])))

    assert "user\n<|audio_code_5|><|audio_code_0|><|im_end|>" in vocabulary().decode(engine.jobs[0].prompt)
    description = events[-1].result.description
    assert description.lyrics == "la la"
    assert description.metadata == SongMetadata(bpm=120, caption="A.", duration_seconds=60.0, language="en")


async def test_a_sample_is_invented_in_the_language_that_was_asked_for(connect: Connector) -> None:
    engine = FakeEngine()
    async with connect(engine) as lm:
        request = pb.CreateSampleRequest(query="a love song", vocal_language="bn")
        events = await all_of(lm.CreateSample(request))

    assert events[-1].result.description.metadata.language == "bn"
    assert "a love song\n\ninstrumental: false" in vocabulary().decode(engine.jobs[0].prompt)


async def test_lyrics_that_the_model_left_out_are_filled_in(connect: Connector) -> None:
    async with connect(FakeEngine(script=SILENT)) as lm:
        sample = await all_of(lm.CreateSample(pb.CreateSampleRequest(instrumental=True)))
        sung = await all_of(lm.CreateSample(pb.CreateSampleRequest()))
        formatted = await all_of(lm.FormatSample(pb.FormatSampleRequest(lyrics="my words")))

    assert sample[-1].result.description.lyrics == "[Instrumental]"
    assert sung[-1].result.description.lyrics == ""
    assert formatted[-1].result.description.lyrics == "my words"


@pytest.mark.parametrize(
    ("given", "written", "told"),
    [
        ("[Verse]\nmy words", "[Instrumental]", "[Verse]\nmy words"),
        ("my words", "[Verse]\n\n[Chorus]", "my words"),
        ("my words", "[Verse]\nother words", "[Verse]\nother words"),
        ("[Verse]", "[Chorus]", "[Chorus]"),
        ("", "[Verse]", "[Verse]"),
    ],
)
async def test_words_are_not_lost_to_tags(connect: Connector, given: str, written: str, told: str) -> None:
    script = f"<think>\nbpm: 90\n</think>\n\n# Lyric\n{written}<|im_end|>"
    async with connect(FakeEngine(script=script)) as lm:
        formatted = await all_of(lm.FormatSample(pb.FormatSampleRequest(lyrics=given)))

    assert formatted[-1].result.description.lyrics == told


BAD = {
    "sampling.temperature": LmSampling(temperature=NAN),
    "sampling.top_p": LmSampling(top_p=NAN),
    "sampling.top_k": LmSampling(top_k=1025),
    "sampling.repetition_penalty": LmSampling(repetition_penalty=0.4),
    "sampling.seed": LmSampling(seed=-1),
}


@pytest.mark.parametrize("field", BAD)
async def test_bad_sampling_is_refused_by_every_method(connect: Connector, field: str) -> None:
    async with connect(FakeEngine()) as lm:
        for call in (
            lm.Plan(pb.PlanRequest(caption="c", sampling=BAD[field])),
            lm.GenerateCodes(pb.GenerateCodesRequest(caption="c", sampling=BAD[field])),
            lm.Understand(pb.UnderstandRequest(sampling=BAD[field])),
            lm.CreateSample(pb.CreateSampleRequest(sampling=BAD[field])),
            lm.FormatSample(pb.FormatSampleRequest(caption="c", sampling=BAD[field])),
        ):
            code, error = await error_of(call)
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert [violation.field for violation in error.violations] == [field]


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("Plan", plan(caption="x" * 513), "caption"),
        ("Plan", plan(caption=" ", lyrics="\n"), "caption"),
        ("Plan", plan(lyrics="x" * 4097), "lyrics"),
        ("Plan", plan(fixed=SongMetadata(caption="c")), "fixed.caption"),
        ("Plan", plan(fixed=SongMetadata(bpm=29)), "fixed.bpm"),
        ("Plan", plan(fixed=SongMetadata(duration_seconds=NAN)), "fixed.duration_seconds"),
        ("Plan", plan(fixed=SongMetadata(keyscale="H major")), "fixed.keyscale"),
        ("Plan", plan(fixed=SongMetadata(language="xx")), "fixed.language"),
        ("Plan", plan(fixed=SongMetadata(timesignature="5")), "fixed.timesignature"),
        ("GenerateCodes", codes(duration_seconds=0.1), "duration_seconds"),
        ("GenerateCodes", codes(duration_seconds=600.1), "duration_seconds"),
        ("GenerateCodes", codes(duration_seconds=NAN), "duration_seconds"),
        ("GenerateCodes", codes(cfg_scale=0.9), "cfg_scale"),
        ("GenerateCodes", codes(cfg_scale=NAN), "cfg_scale"),
        ("GenerateCodes", codes(metadata=SongMetadata(caption="x" * 513)), "metadata.caption"),
        ("GenerateCodes", codes(negative_prompt="x" * 513), "negative_prompt"),
        ("Understand", pb.UnderstandRequest(audio_codes=[67]), "audio_codes[0]"),
        ("Understand", pb.UnderstandRequest(audio_codes=[0] * 3001), "audio_codes"),
        ("CreateSample", pb.CreateSampleRequest(query="x" * 513), "query"),
        ("CreateSample", pb.CreateSampleRequest(vocal_language="EN"), "vocal_language"),
        ("FormatSample", pb.FormatSampleRequest(fixed=SongMetadata(bpm=301)), "fixed.bpm"),
    ],
)
async def test_a_bad_field_is_refused_by_name(
    connect: Connector, method: str, request_: Any, field: str
) -> None:
    async with connect(FakeEngine()) as lm:
        code, error = await error_of(getattr(lm, method)(request_))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.violations] == [field]


async def test_a_song_that_does_not_fit_the_model_is_refused_with_its_token_count(
    connect: Connector,
) -> None:
    async with connect(FakeEngine(max_model_len=1000)) as lm:
        text = await error_of(lm.Plan(plan(lyrics="la " * 1000)))
        song = await error_of(lm.GenerateCodes(codes(duration_seconds=200.0)))

    for code, error in (text, song):
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert error.reason == "PROMPT_TOO_LONG"
        assert "tokens" in error.message


async def test_other_refusals_have_their_own_status(connect: Connector) -> None:
    async with connect(FakeEngine()) as lm:
        lyrics = await error_of(lm.Plan(plan(chain_of_thought=ChainOfThought(use_cot_lyrics=True))))
        model = await error_of(lm.Plan(plan(model="acestep-5Hz-lm-4B")))
        named = await all_of(lm.Plan(plan(model="acestep-5Hz-lm-fake")))
    async with connect(FakeEngine(), max_rows=1) as lm:
        rows = await error_of(lm.GenerateCodes(codes()))
    async with connect(None) as lm:
        loading = await error_of(lm.Plan(plan()))
    async with connect(BrokenEngine()) as lm:
        dead = await error_of(lm.Plan(plan()))

    assert lyrics[0] is grpc.StatusCode.UNIMPLEMENTED
    assert model[0] is grpc.StatusCode.NOT_FOUND
    assert named[-1].HasField("result")
    assert rows[1].reason == "TOO_FEW_ROWS"
    assert loading[1].reason == "LOADING"
    assert (dead[0], dead[1].reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_DEAD")


async def test_output_that_is_not_constrained_is_still_read_safely(connect: Connector) -> None:
    engine = FakeEngine(script="nonsense: <think>\nbpm: 900\nlanguage: en\n")
    request = pb.PlanRequest(caption="c", sampling=LmSampling(use_constrained_decoding=False))
    async with connect(engine) as lm:
        events = await all_of(lm.Plan(request))

    assert events[-1].result.metadata == SongMetadata(language="en")
    assert vocabulary().think_close in engine.jobs[0].stop_tokens


async def test_logs_tell_decisions_on_request_and_never_words(
    connect: Connector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = plan(caption="secretcaption", lyrics="secretlyrics")
    request.sampling.constrained_decoding_debug = True
    async with connect(FakeEngine(script=PLANNED)) as lm:
        await all_of(lm.Plan(request))

    assert "step 0: one of 1 tokens" in caplog.text
    assert "wrote" in caplog.text
    assert "secret" not in caplog.text


async def test_prometheus_sees_rows_cache_masks_and_times(connect: Connector) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"acestep_lm_{name}", labels) or 0.0

    engine, times = FakeEngine(paused=True), value("token_seconds_count", phase="codes")
    async with connect(engine) as lm:
        call = asyncio.create_task(all_of(lm.GenerateCodes(codes(duration_seconds=20.0))))
        await engine.started.wait()

        assert value("rows_running") == 2
        assert value("cache_used_ratio") == 0.25
        assert value("preemptions_total") == 3
        assert value("constraint_masks_total", kind="codes") == 5
        assert value("reserved_tokens") == engine.jobs[0].cache_token_count > 200
        engine.allow(100)
        await call
        assert value("reserved_tokens") == value("rows_running") == 0

    assert value("token_seconds_count", phase="codes") - times >= 100 // 16


async def test_model_info_tells_the_limits(connect: Connector) -> None:
    async with connect(FakeEngine(), max_rows=6, max_queued=3) as lm:
        info = await lm.GetModelInfo(pb.GetModelInfoRequest())

    assert (info.model.name, info.model.revision) == ("acestep-5Hz-lm-fake", "r1")
    assert (info.code_count, info.max_token_count) == (67, 8192)
    assert (info.max_row_count, info.max_queued_count) == (6, 3)


@pytest.mark.parametrize(
    ("recommended", "asked", "used"), [(None, None, 2.0), (1.0, None, 1.0), (1.0, 1.5, 1.5)]
)
async def test_guidance_is_what_was_asked_or_what_the_model_recommends(
    connect: Connector, recommended: float | None, asked: float | None, used: float
) -> None:
    engine = FakeEngine(recommended_cfg_scale=recommended)
    async with connect(engine) as lm:
        info = await lm.GetModelInfo(pb.GetModelInfoRequest())
        await all_of(lm.GenerateCodes(codes(cfg_scale=asked)))

    assert (info.recommended_cfg_scale if info.HasField("recommended_cfg_scale") else None) == recommended
    assert engine.jobs[0].task.scale == used
    assert engine.jobs[0].row_count == (2 if used > 1 else 1)
