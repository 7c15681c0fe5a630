"""Call every method with what it should never be sent, and see that it answers like a grown-up."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.errors import LOST_BY_GRPC
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.music.v1 import music_pb2
from common.telemetry import CALL_SECONDS
from tests.fuzz.messages import garbage, mutated
from tests.fuzz.sounds import broken_files, good_files
from tests.fuzz.system import Channels

SIDE_BY_SIDE = 4
PATIENCE_S = 20.0
OUR_FAULT = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
SAMPLING = music_pb2.LmSampling(seed=1)
CODES = [1, 2, 3]


@dataclass(frozen=True, slots=True)
class Method:
    path: str
    package: str
    descriptor: MethodDescriptor

    @property
    def request(self) -> type[Message]:
        return message_factory.GetMessageClass(self.descriptor.input_type)


def methods() -> list[Method]:
    services = {
        "gateway": pb.DESCRIPTOR.services_by_name["MusicService"],
        "lm": lm_pb.DESCRIPTOR.services_by_name["LmService"],
        "dit": dit_pb.DESCRIPTOR.services_by_name["DitService"],
    }
    return [
        Method(f"/{service.full_name}/{method.name}", package, method)
        for package, service in services.items()
        for method in service.methods
    ]


def good_requests(draw: random.Random, method: Method) -> list[Message]:
    """What the method's users send: the start of every mutation."""
    good = draw.choice(good_files())
    broken = next(broken_files(draw.getrandbits(32)))
    sound = music_pb2.FileChunk(data=draw.choice((good, broken)))
    upload, encode = pb.UploadAudioRequest, dit_pb.EncodeAudioRequest
    heard = pb.UnderstandMusicRequest.AudioCodes(codes=CODES)
    samples: dict[str, list[Message]] = {
        "GenerateMusic": [_song(codes=CODES if draw.random() < 0.5 else [])],
        "UnderstandMusic": [pb.UnderstandMusicRequest(audio_codes=heard, sampling=SAMPLING)],
        "UploadAudio": [upload(header=upload.Header()), upload(chunk=sound)],
        "GenerateCodes": [
            lm_pb.GenerateCodesRequest(caption="piano", duration_seconds=2, sampling=SAMPLING)
        ],
        "Understand": [lm_pb.UnderstandRequest(audio_codes=CODES, sampling=SAMPLING)],
        "Render": [dit_pb.RenderRequest(job=_job()), dit_pb.RenderRequest(reference_audio=sound)],
        "EncodeAudio": [encode(header=encode.Header(codes=True)), encode(audio=sound)],
        "Decode": [dit_pb.DecodeRequest(audio_codes=dit_pb.DecodeRequest.Codes(codes=CODES))],
    }
    return samples.get(method.descriptor.name, [method.request()])


def _song(codes: list[int]) -> pb.GenerateMusicRequest:
    return pb.GenerateMusicRequest(
        caption="piano", duration_seconds=10, audio_codes=codes, batch=pb.BatchParams(seeds=[3])
    )


def _job() -> dit_pb.RenderJob:
    metadata = music_pb2.SongMetadata(caption="piano")
    return dit_pb.RenderJob(seed=1, audio_codes=CODES, metadata=metadata, has_reference_audio=True)


def bad_requests(draw: random.Random, method: Method) -> list[bytes]:
    good = good_requests(draw, method)
    way = draw.random()
    if way < 0.6:
        return [mutated(draw, message).SerializeToString() for message in good]
    if way < 0.8:
        return [garbage(draw, message) for message in good]
    sent = [message.SerializeToString() for message in good]
    if method.descriptor.client_streaming:  # of a good call, another order or number of messages
        return [draw.choice(sent) for _ in range(draw.randint(0, 4))]
    return sent


async def answer(
    channels: Channels, method: Method, requests: list[bytes]
) -> tuple[grpc.StatusCode, str | None]:
    async def sent() -> AsyncIterator[bytes]:
        for request in requests:
            yield request

    channel: Any = getattr(channels, method.package)
    call = channel.stream_stream(method.path)(sent(), timeout=PATIENCE_S)
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError:
        pass
    return await call.code(), await call.details()


async def fuzz(channels: Channels, seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Make `count` calls. How they ended, and what was called when the service was to blame."""
    draw, ends, faults = random.Random(seed), Counter[str](), list[str]()
    failed_before = failed_calls()

    async def one(number: int) -> None:
        method = draw.choice(known)
        requests = bad_requests(draw, method)
        code, text = await answer(channels, method, requests)
        ends[code.name] += 1
        if code in OUR_FAULT and text != LOST_BY_GRPC:
            sent = " ".join(request[:200].hex() for request in requests)
            faults.append(f"call {number} {method.path} {code.name} {text}: {sent}")

    known = methods()
    for start in range(0, count, SIDE_BY_SIDE):
        await asyncio.gather(*(one(start + offset) for offset in range(SIDE_BY_SIDE)))
    if failed := failed_calls() - failed_before:
        faults.append(f"the services themselves say that {failed:g} calls failed inside")
    return ends, faults


def failed_calls() -> float:
    """Calls that ended by a fault of ours, as the metrics of this process count them."""
    samples = [sample for family in CALL_SECONDS.collect() for sample in family.samples]
    ours = {code.name for code in OUR_FAULT}
    return sum(
        sample.value
        for sample in samples
        if sample.name.endswith("_count") and sample.labels["code"] in ours
    )
