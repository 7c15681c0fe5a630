"""The details of a failed call: `google.rpc.Status` and what it carries, as far as we read it.

The messages are those of googleapis-common-protos on the wire. They are declared here so that a
client needs gRPC and protobuf alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from google.protobuf.message import DecodeError, Message

METADATA_KEY = "grpc-status-details-bin"
PACKAGE = "acestep.rich_status"
RPC_PACKAGE = "google.rpc."

_Field = descriptor_pb2.FieldDescriptorProto
ANY, DURATION = ".google.protobuf.Any", ".google.protobuf.Duration"
TEXT, NUMBER = "text", "number"
REPEATED = "*"
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Status": {"code": (1, NUMBER), "message": (2, TEXT), "details": (3, REPEATED + ANY)},
    "Fact": {"key": (1, TEXT), "value": (2, TEXT)},
    "ErrorInfo": {"reason": (1, TEXT), "domain": (2, TEXT), "metadata": (3, f"{REPEATED}.{PACKAGE}.Fact")},
    "FieldViolation": {"field": (1, TEXT), "description": (2, TEXT)},
    "BadRequest": {"field_violations": (1, f"{REPEATED}.{PACKAGE}.FieldViolation")},
    "RetryInfo": {"retry_delay": (1, DURATION)},
}
"""Fields by name: number, and type. A map is, on the wire, a list of its entries."""


def _declared() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="acestep/rich_status.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            declared = message.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
            single = kind.removeprefix(REPEATED)
            if single != kind:
                declared.label = _Field.LABEL_REPEATED
            if single.startswith("."):
                declared.type, declared.type_name = _Field.TYPE_MESSAGE, single
            else:
                declared.type = _Field.TYPE_STRING if kind == TEXT else _Field.TYPE_INT32
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    found = (pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES)
    return {each.name: message_factory.GetMessageClass(each) for each in found}


_CLASSES = _declared()


@dataclass(slots=True)
class Details:
    """What a failed call tells besides its code and its message."""

    reason: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    violations: list[tuple[str, str]] = field(default_factory=list)
    """Fields, and what is wrong with each."""
    retry_after_s: float | None = None


def read(status: bytes) -> Details:
    """What a serialised `google.rpc.Status` carries; nothing if it is not one."""
    details = Details()
    try:
        for name, message in _boxes(status):
            if name == "ErrorInfo":
                details.reason = message.reason
                details.facts = {fact.key: fact.value for fact in message.metadata}
            elif name == "BadRequest":
                details.violations = [(item.field, item.description) for item in message.field_violations]
            elif name == "RetryInfo":
                delay = message.retry_delay
                details.retry_after_s = delay.seconds + delay.nanos / 1e9
    except DecodeError:  # of a proxy that speaks otherwise; code and message are known anyway
        return Details()
    return details


def _boxes(status: bytes) -> Iterator[tuple[str, Any]]:
    envelope: Any = _CLASSES["Status"].FromString(status)
    for box in envelope.details:
        kind = box.type_url.rpartition("/")[2]
        name = kind.removeprefix(RPC_PACKAGE)
        if kind.startswith(RPC_PACKAGE) and name in _CLASSES:
            yield name, _CLASSES[name].FromString(box.value)
