"""What both clients do to requests and to the events that answer them. Pure functions."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from acestep.gateway.v1 import music_service_pb2 as pb

Result = TypeVar("Result")


def named(request: pb.GenerateMusicRequest) -> pb.GenerateMusicRequest:
    """A copy with an id, by which the server knows a request that is sent again."""
    copy = pb.GenerateMusicRequest()
    copy.CopyFrom(request)
    copy.request_id = request.request_id or uuid.uuid4().hex
    return copy


def described(
    request: pb.UnderstandMusicRequest | None, codes: Sequence[int] | None
) -> pb.UnderstandMusicRequest:
    """A copy that holds `codes`, if there are any to hold."""
    copy = pb.UnderstandMusicRequest()
    if request is not None:
        copy.CopyFrom(request)
    if codes is not None:
        copy.audio_codes.SetInParent()  # no codes at all ask for an invented example
        copy.audio_codes.codes[:] = codes
    return copy


@dataclass(slots=True)
class LastResult(Generic[Result]):
    """Keeps the `result` of a stream of events that ends with one."""

    _event: Any = None

    def add(self, event: Any) -> None:
        self._event = event

    def finish(self) -> Result:
        return cast(Result, self._event.result)
