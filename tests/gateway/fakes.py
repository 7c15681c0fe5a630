"""Stages that stand in for real models. They keep the contracts' promises, quickly.

A test holds time by clearing `FakeLm.may_write` or `FakeDit.may_step`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.errors import LOST_BY_GRPC
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind, invalid

PLANNED = music_pb2.SongMetadata(
    bpm=120,
    caption="LM caption.",
    duration_seconds=60,
    keyscale="F# minor",
    language="en",
    timesignature="4",
)
CODE_COUNT = 1000
STEPS = 8
LIVE_GAIN = 0.5
SOURCE_S = 10.0
"""Length of every uploaded source."""


class Gate:
    """Open, until a test closes it. `waiting` tells that somebody has come to it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.waiting = asyncio.Event()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        self.waiting.set()
        await self._open.wait()


class FakeLm(lm_rpc.LmServiceServicer):
    """Plans `PLANNED`, and writes codes that depend on the seed alone."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.cancelled = asyncio.Event()
        self.gate = Gate()
        self.failure: AceError | None = None
        self.lost_after_codes = False
        """Breaks off once, when its codes are sent and its result is not."""
        self.speechless = False
        """Writes descriptions that hold nothing."""
        self.down = False
        self.recommended_cfg_scale: float | None = None
        self.request_ids: list[str] = []
        self.seconds_left: list[float | None] = []

    async def GetModelInfo(self, request: Any, context: Any) -> lm_pb.GetModelInfoResponse:
        if self.down:
            raise AceError(Kind.UNAVAILABLE, "LOADING", "still loading")
        return lm_pb.GetModelInfoResponse(
            model=music_pb2.ModelVersion(name="lm-fake", revision="r1"),
            code_count=CODE_COUNT,
            max_row_count=16,
            recommended_cfg_scale=self.recommended_cfg_scale,
        )

    async def _work(self, request: Any, context: Any) -> None:
        """Note the request, and hold, fail or be cancelled as the test wants."""
        self.requests.append(request)
        self.request_ids.append(dict(context.invocation_metadata())["x-request-id"])
        self.seconds_left.append(context.time_remaining())
        try:
            await self.gate.pass_through()
            if self.failure is not None:
                raise self.failure
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def Plan(self, request: lm_pb.PlanRequest, context: Any) -> AsyncIterator[lm_pb.PlanResponse]:
        yield lm_pb.PlanResponse(queued=music_pb2.QueueStatus(position=0))
        await self._work(request, context)
        metadata = music_pb2.SongMetadata()
        metadata.CopyFrom(PLANNED)
        metadata.MergeFrom(request.fixed)
        yield lm_pb.PlanResponse(progress=lm_pb.LmProgress(token_count=12, tokens_per_second=100))
        yield lm_pb.PlanResponse(field=lm_pb.PlanField(name="bpm", value=str(metadata.bpm)))
        yield lm_pb.PlanResponse(result=lm_pb.PlanResponse.Result(metadata=metadata, usage=usage(request)))

    async def GenerateCodes(
        self, request: lm_pb.GenerateCodesRequest, context: Any
    ) -> AsyncIterator[lm_pb.GenerateCodesResponse]:
        await self._work(request, context)
        count = int(5 * request.duration_seconds) if request.HasField("duration_seconds") else 50
        codes = np.random.default_rng(request.sampling.seed).integers(0, CODE_COUNT, count).tolist()
        yield lm_pb.GenerateCodesResponse(
            progress=lm_pb.LmProgress(token_count=count, expected_token_count=count, tokens_per_second=100)
        )
        yield lm_pb.GenerateCodesResponse(codes=lm_pb.GenerateCodesResponse.Codes(codes=codes))
        if self.lost_after_codes:
            self.lost_after_codes = False
            raise AceError(Kind.UNAVAILABLE, "ENGINE_DEAD", "the engine has died")
        result = lm_pb.GenerateCodesResponse.Result(code_count=count, usage=usage(request))
        yield lm_pb.GenerateCodesResponse(result=result)

    async def Understand(
        self, request: lm_pb.UnderstandRequest, context: Any
    ) -> AsyncIterator[lm_pb.UnderstandResponse]:
        await self._work(request, context)
        description = lm_pb.SongDescription(metadata=PLANNED, lyrics="[Verse]\nla")
        if self.speechless:
            description.Clear()
        yield lm_pb.UnderstandResponse(
            result=lm_pb.UnderstandResponse.Result(description=description, usage=usage(request))
        )

    async def CreateSample(
        self, request: lm_pb.CreateSampleRequest, context: Any
    ) -> AsyncIterator[lm_pb.CreateSampleResponse]:
        await self._work(request, context)
        description = lm_pb.SongDescription(metadata=PLANNED, lyrics="[Instrumental]")
        yield lm_pb.CreateSampleResponse(
            result=lm_pb.CreateSampleResponse.Result(description=description, usage=usage(request))
        )

    async def FormatSample(
        self, request: lm_pb.FormatSampleRequest, context: Any
    ) -> AsyncIterator[lm_pb.FormatSampleResponse]:
        await self._work(request, context)
        description = lm_pb.SongDescription(metadata=PLANNED, lyrics=request.lyrics)
        yield lm_pb.FormatSampleResponse(
            result=lm_pb.FormatSampleResponse.Result(description=description, usage=usage(request))
        )


def usage(request: Any) -> lm_pb.LmUsage:
    return lm_pb.LmUsage(
        model=music_pb2.ModelVersion(name="lm-fake", revision="r1"),
        seed=request.sampling.seed,
        queue_seconds=0.25,
        run_seconds=1.5,
    )


class FakeDit(dit_rpc.DitServiceServicer):
    """Renders noise that depends on the job alone."""

    def __init__(self, model: str = "dit-fake") -> None:
        self.model = model
        self.jobs: list[dit_pb.RenderJob] = []
        self.tasks: list[Any] = [music_pb2.TASK_TEXT2MUSIC]
        self.is_turbo = True
        self.silent = False
        self.code_count = CODE_COUNT
        self.reference_bytes = 0
        self.source_bytes = 0
        self.cancelled = asyncio.Event()
        self.cancelled_seeds: set[int] = set()
        self.gate = Gate()
        self.live_gate = Gate()
        self.live_pieces_sent = 0
        self.request_ids: list[str] = []
        self.seconds_left: list[float | None] = []
        self.failures: dict[int, AceError] = {}
        """Errors by seed."""
        self.max_calls = 16
        self.answers_to_lose = 0
        """So many renders end as those do whose answer the caller's gRPC lost."""

    async def GetModelInfo(self, request: Any, context: Any) -> dit_pb.GetModelInfoResponse:
        model = dit_pb.DitModel(
            model=music_pb2.ModelVersion(name=self.model, revision="r2"),
            is_turbo=self.is_turbo,
            tasks=self.tasks,
            defaults=music_pb2.DiffusionParams(inference_steps=STEPS, shift=3.0, guidance_scale=1.0),
            max_inference_steps=20,
            code_count=self.code_count,
        )
        return dit_pb.GetModelInfoResponse(
            models=[model], max_upload_bytes=10**6, max_call_count=self.max_calls
        )

    async def Render(
        self, requests: AsyncIterator[dit_pb.RenderRequest], context: Any
    ) -> AsyncIterator[dit_pb.RenderResponse]:
        job = await self._job(requests)
        if job.diffusion.inference_steps > 20:
            raise invalid(
                "job.diffusion.inference_steps", "must be within [1, 20]", job.diffusion.inference_steps
            )
        if job.task not in self.tasks:
            raise AceError(Kind.UNIMPLEMENTED, "TASK_NOT_OFFERED", "task")
        yield started(job)
        if job.validate_only:
            return
        self.jobs.append(job)
        self.request_ids.append(dict(context.invocation_metadata())["x-request-id"])
        self.seconds_left.append(context.time_remaining())
        async for message in requests:
            self.reference_bytes += len(message.reference_audio.data)
            self.source_bytes += len(message.source_audio.data)
        try:
            for step in range(1, STEPS + 1):
                await self.gate.pass_through()
                yield diffused(step)
            if job.seed in self.failures:
                raise self.failures[job.seed]
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled_seeds.add(job.seed)
            self.cancelled.set()
            raise
        seconds = len(job.audio_codes) / 5 or job.metadata.duration_seconds or SOURCE_S
        samples = np.random.default_rng(job.seed).uniform(-0.5, 0.5, (round(seconds * 48_000), 2))
        async for piece in self._live(samples[: len(samples) * job.stream_audio]):
            yield piece
        for start in range(0, len(samples), 32_768):
            yield dit_pb.RenderResponse(audio=pcm(samples[start : start + 32_768]))
        yield dit_pb.RenderResponse(
            result=dit_pb.RenderResponse.Result(
                duration_seconds=seconds,
                peak_before_normalization=0.5,
                silent=self.silent,
                latents=latents(seconds) if job.return_latents else None,
                timings={"queue": 0.0, "conditioning": 0.1, "diffusion": 0.8, "decoding": 0.3},
                live_gain=LIVE_GAIN,
                loudness=music_pb2.Loudness(integrated_lufs=-14.25, true_peak_dbtp=-0.5),
            )
        )

    async def _job(self, requests: AsyncIterator[dit_pb.RenderRequest]) -> dit_pb.RenderJob:
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise AceError(Kind.INTERNAL, "LOST", LOST_BY_GRPC)
        return (await anext(aiter(requests))).job

    async def _live(self, samples: np.ndarray) -> AsyncIterator[dit_pb.RenderResponse]:
        for start in range(0, len(samples), 32_768):
            if start:  # the first piece is always heard
                await self.live_gate.pass_through()
            self.live_pieces_sent += 1
            chunk = pcm(samples[start : start + 32_768] / LIVE_GAIN)
            live = dit_pb.RenderResponse.LiveAudio(first_sample=start, chunk=chunk)
            yield dit_pb.RenderResponse(live_audio=live)

    async def EncodeAudio(
        self, requests: AsyncIterator[dit_pb.EncodeAudioRequest], context: Any
    ) -> dit_pb.EncodeAudioResponse:
        size = sum([len(message.audio.data) async for message in requests])
        return dit_pb.EncodeAudioResponse(audio_codes=[size % CODE_COUNT, 7])


def pcm(samples: np.ndarray) -> music_pb2.PcmChunk:
    return music_pb2.PcmChunk(
        samples=samples.astype("<f4").tobytes(), sample_rate_hertz=48_000, channel_count=2
    )


def started(job: dit_pb.RenderJob) -> dit_pb.RenderResponse:
    diffusion = music_pb2.DiffusionParams(inference_steps=STEPS, shift=3.0, guidance_scale=1.0)
    diffusion.MergeFrom(job.diffusion)
    return dit_pb.RenderResponse(
        started=dit_pb.RenderResponse.Started(
            seed=job.seed,
            diffusion=diffusion,
            duration_seconds=len(job.audio_codes) / 5 or job.metadata.duration_seconds,
            model=music_pb2.ModelVersion(name="dit-fake", revision="r2"),
            warnings=["the song gets the length of its codes"] if job.metadata.duration_seconds else [],
        )
    )


def latents(seconds: float) -> music_pb2.Latents:
    frames = round(seconds * 25)
    return music_pb2.Latents(
        data=np.ones((frames, 4), "<f4").tobytes(), frame_count=frames, channel_count=4
    )


def diffused(step: int) -> dit_pb.RenderResponse:
    return dit_pb.RenderResponse(
        progress=dit_pb.RenderResponse.Progress(
            phase=dit_pb.RENDER_PHASE_DIFFUSION, step_count=step, total_step_count=STEPS
        )
    )
