"""The language model stage of a replay: it plans what the recorded model wrote, or is the real one.

The real one is the real servicer, over an engine that writes a vector's text.
"""

from collections.abc import AsyncIterator
from typing import Any

from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from lm_service.servicer import LmServicer
from tests.gateway.fakes import PLANNED, FakeLm, usage

PROGRESS = lm_pb.LmProgress(token_count=1, tokens_per_second=100)


class ReplayedLm(FakeLm):
    def __init__(self, code_count: int) -> None:
        super().__init__()
        self.code_count = code_count
        self.planned = PLANNED
        self.fails_in = ""
        """Name of the request that fails."""
        self.real: LmServicer | None = None

    def reset(self) -> None:
        self.requests.clear()
        self.planned, self.fails_in, self.real = PLANNED, "", None

    async def GetModelInfo(self, request: Any, context: Any) -> lm_pb.GetModelInfoResponse:
        return lm_pb.GetModelInfoResponse(
            model=music_pb2.ModelVersion(name="lm", revision="r"), code_count=self.code_count
        )

    async def _work(self, request: Any, context: Any) -> None:
        await super()._work(request, context)
        if type(request).__name__ == self.fails_in:
            raise AceError(Kind.PRECONDITION, "STUB_FAILURE", "stub failure")

    async def Plan(self, request: lm_pb.PlanRequest, context: Any) -> AsyncIterator[lm_pb.PlanResponse]:
        yield lm_pb.PlanResponse(progress=PROGRESS)
        await self._work(request, context)
        metadata = music_pb2.SongMetadata()
        metadata.CopyFrom(self.planned)
        metadata.MergeFrom(request.fixed)
        yield lm_pb.PlanResponse(result=lm_pb.PlanResponse.Result(metadata=metadata, usage=usage(request)))

    async def GenerateCodes(
        self, request: lm_pb.GenerateCodesRequest, context: Any
    ) -> AsyncIterator[lm_pb.GenerateCodesResponse]:
        yield lm_pb.GenerateCodesResponse(progress=PROGRESS)
        async for event in super().GenerateCodes(request, context):
            yield event

    async def Understand(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert self.real is not None
        async for event in self.real.Understand(request, context):
            yield event

    async def CreateSample(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert self.real is not None
        async for event in self.real.CreateSample(request, context):
            yield event

    async def FormatSample(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert self.real is not None
        async for event in self.real.FormatSample(request, context):
            yield event
