"""Make one call of a case, and write down what came as a JSON document."""

import hashlib
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from acestep import rich_status
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep_serve.conformance.case_files import Step
from acestep_serve.conformance.conditions import BrokenCase

SERVICE = pb.DESCRIPTOR.services_by_name["MusicService"]
EVENT = "event"
"""The oneof that every streamed response is."""


def made(
    channel: grpc.Channel, step: Step, metadata: Mapping[str, str], timeout_s: float
) -> dict[str, Any]:
    """What came of `step`, whose variables are filled in. Raises `BrokenCase`.

    `code`, and `error` unless it is OK; `response` of a unary method; of a stream, a list of messages
    under the name of each event, `order` and `files`.
    """
    method = SERVICE.methods_by_name.get(step.method)
    if method is None:
        raise BrokenCase(f"{step.method} is no method of {SERVICE.full_name}")
    sent = [_message(method, each) for each in (step.requests or [step.request or {}])]
    start = _starter(channel, method)
    document: dict[str, Any] = {"code": grpc.StatusCode.OK.name}
    try:
        call = start(
            iter(sent) if method.client_streaming else sent[0],
            timeout=timeout_s,
            metadata=tuple(metadata.items()),
        )
        if method.server_streaming:
            _write_events(document, call, step.cancel_at)
        else:
            document["response"] = as_json(call)
    except grpc.RpcError as error:
        document["code"] = error.code().name
        document["error"] = _error(error)
    return document


def _message(method: MethodDescriptor, value: Any) -> Message:
    message = message_factory.GetMessageClass(method.input_type)()
    try:
        return json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        raise BrokenCase(f"{method.input_type.name}: {error}") from None


def _starter(channel: grpc.Channel, method: MethodDescriptor) -> Any:
    arity = "_".join(
        "stream" if many else "unary" for many in (method.client_streaming, method.server_streaming)
    )
    start = getattr(channel, arity)
    return start(
        f"/{SERVICE.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )


def _write_events(document: dict[str, Any], call: Any, cancel_at: Any) -> None:
    """Adds to `document` as they come, so that it tells how far a call got that failed."""
    order: list[str] = []
    document.update(order=order, files=[])
    digests: dict[int, Any] = {}
    for response in call:
        name = response.WhichOneof(EVENT)
        if name is None:  # an event of later contracts
            continue
        event = getattr(response, name)
        if name == "audio":
            _add_to_file(document["files"], digests, event)
            event.data = b""
        elif name == "live_audio":
            event.chunk.samples = b""
        written = as_json(event)
        document.setdefault(name, []).append(written)
        if order[-1:] != [name]:
            order.append(name)
        if cancel_at is not None and _has({name: written}, cancel_at):
            call.cancel()
            cancel_at = None


def _add_to_file(files: list[dict[str, Any]], digests: dict[int, Any], chunk: pb.AudioChunk) -> None:
    """Files are told by their songs; a chunk that does not follow the last one breaks its file."""
    if chunk.song_index not in digests:
        digests[chunk.song_index] = hashlib.sha256()
        files.append({"song_index": chunk.song_index, "byte_count": "0", "in_order": True})
    file = next(file for file in files if file["song_index"] == chunk.song_index)
    file["in_order"] = file["in_order"] and chunk.offset_bytes == int(file["byte_count"])
    file["byte_count"] = str(int(file["byte_count"]) + len(chunk.data))
    digests[chunk.song_index].update(chunk.data)
    file["sha256"] = digests[chunk.song_index].hexdigest()


def _has(event: Any, wanted: Any) -> bool:
    """Whether `event` has every value of `wanted`, whatever else it has."""
    if isinstance(wanted, dict):
        return isinstance(event, dict) and all(_has(event.get(key), value) for key, value in wanted.items())
    return bool(event == wanted)


def as_json(message: Message) -> dict[str, Any]:
    return dict(json_format.MessageToDict(message, preserving_proto_field_name=True))


def _error(failed: Any) -> dict[str, Any]:
    trailers = dict(failed.trailing_metadata() or ())
    details = rich_status.read(trailers.get(rich_status.METADATA_KEY, b""))
    error: dict[str, Any] = {
        "message": failed.details(),
        "reason": details.reason,
        "facts": details.facts,
        "violations": [
            {"field": field, "description": description} for field, description in details.violations
        ],
    }
    if details.retry_after_s is not None:
        error["retry_after_seconds"] = details.retry_after_s
    return error
