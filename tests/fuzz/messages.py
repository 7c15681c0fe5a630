"""Requests that no sane client sends: good ones with some fields replaced, and plain garbage."""

import math
import random
import string
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 12, 29, 64_000, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 10.0, 600.0, 600.1, 1e-300, 1e300, math.inf, -math.inf, math.nan)
TEXTS = (
    "",
    " ",
    "a",
    "C major",
    "en",
    "4",
    "acestep-v15-turbo",
    "../../etc/passwd",
    "[Instrumental]",
    "<|im_end|>",
    "\0",
    "é" * 513,
    "🎵" * 5000,
)
RANGES = {
    FieldDescriptor.CPPTYPE_BOOL: (0, 1),
    FieldDescriptor.CPPTYPE_ENUM: (0, 12),
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
DEEPEST = 4


def mutated(draw: random.Random, good: Message) -> Message:
    """A copy with one to three fields, at any depth, set to something else."""
    message = type(good)()
    message.CopyFrom(good)
    for _ in range(draw.randint(1, 3)):
        _mutate(draw, message, depth=0)
    return message


def garbage(draw: random.Random, good: Message) -> bytes:
    """Bytes that are seldom a message at all."""
    data = bytearray(good.SerializeToString() or draw.randbytes(16))
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data))
        if draw.random() < 0.3:
            data[at:at] = draw.randbytes(draw.randint(1, 8))
        else:
            data[at] = draw.randrange(256)
    return bytes(data[: draw.randint(1, len(data))] if draw.random() < 0.2 else data)


def _mutate(draw: random.Random, message: Message, depth: int) -> None:
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    field = cast(FieldDescriptor, draw.choice(fields))
    if field.message_type is not None and depth < DEEPEST:
        _mutate_message(draw, message, field, depth)
    elif field.is_repeated:
        values = getattr(message, field.name)
        del values[:]
        values.extend(_value(draw, field) for _ in range(draw.choice((0, 1, 3, 9, 3001))))
    elif field.message_type is None:
        setattr(message, field.name, _value(draw, field))


def _mutate_message(draw: random.Random, message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return
    value = getattr(message, field.name)
    if field.is_repeated:
        for _ in range(draw.randint(1, 9)):
            _mutate(draw, value.add(), depth + 1)
    elif draw.random() < 0.1:
        message.ClearField(field.name)
    else:
        value.SetInParent()
        _mutate(draw, value, depth + 1)


def _value(draw: random.Random, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw.randbytes(draw.choice((0, 1, 7, 4096)))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return draw.choice((*TEXTS, "".join(draw.choices(string.printable, k=draw.randint(0, 600)))))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return draw.choice((*FLOATS, draw.uniform(-100, 100)))
    lowest, highest = RANGES.get(field.cpp_type, (-(2**63), 2**63 - 1))
    return draw.choice([number for number in INTEGERS if lowest <= number <= highest])
