"""What a peer may send that is not, or is too much, HTTP/2 and gRPC: whole connections as bytes."""

import random
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = 0, 1, 3, 4, 5, 6
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM, END_HEADERS, PADDED = 0x1, 0x4, 0x8
FLOOD = 20_000


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """As RFC 9113 4.1 says; `length` may lie."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name: str, value: str) -> bytes:
    """A literal header that is not indexed (RFC 7541 6.2.2), without Huffman code."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


CALL = b"".join(
    header(name, value)
    for name, value in {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/acestep.gateway.v1.MusicService/GenerateMusic",
        ":authority": "gateway",
        "content-type": "application/grpc",
        "te": "trailers",
    }.items()
)
OPENING = PREFACE + frame(SETTINGS, 0, 0)


def malformed() -> dict[str, bytes]:
    """What a peer may send, by name. Each is a whole connection."""
    opened = OPENING + frame(HEADERS, END_HEADERS, 1, CALL)
    stream_2 = struct.pack(">I", 2)
    noise = random.Random(1)

    def message(flags: int, length: int, content: bytes) -> bytes:
        """A call of one message, whose length may lie."""
        prefix = struct.pack(">BI", flags, length)
        return opened + frame(DATA, END_STREAM, 1, prefix + content)

    return {
        "nothing of HTTP/2": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        "random bytes": noise.randbytes(4096),
        "random bytes after the preface": PREFACE + noise.randbytes(4096),
        "a frame of 16 MiB": OPENING + frame(DATA, 0, 1, b"", length=(1 << 24) - 1) + bytes(100_000),
        "a frame cut short": OPENING + frame(HEADERS, END_HEADERS, 1, CALL[:10], length=500),
        "headers on stream 0": OPENING + frame(HEADERS, END_HEADERS, 0, CALL),
        "headers on an even stream": OPENING + frame(HEADERS, END_HEADERS, 2, CALL),
        "headers that are no HPACK": OPENING + frame(HEADERS, END_HEADERS, 1, b"\xff" * 200),
        "an endless integer in HPACK": OPENING + frame(HEADERS, END_HEADERS, 1, b"\x7f" + b"\xff" * 100),
        "padding longer than its frame": OPENING + frame(DATA, PADDED, 1, b"\xff"),
        "settings of 5 bytes": PREFACE + frame(SETTINGS, 0, 0, bytes(5)),
        "a window of 0": opened + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0)),
        "windows beyond 2^31": opened + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
        "a continuation of nothing": OPENING + frame(CONTINUATION, END_HEADERS, 1, CALL),
        "a push from the client": OPENING + frame(PUSH_PROMISE, END_HEADERS, 1, stream_2 + CALL),
        "a message longer than it says": message(0, 1, bytes(9)),
        "a message of 4 GiB": message(0, 0xFFFFFFFF, bytes(9)),
        "a compressed message that is none": message(1, 4, b"abcd"),
        "a message that is no protobuf": message(0, 4, b"\xff" * 4),
        "an unknown kind of frame": OPENING + frame(0xEE, 0xFF, 1, bytes(64)),
    }


def floods() -> dict[str, bytes]:
    """What is right frame by frame, and too much."""
    return {
        "calls begun and reset at once": OPENING
        + b"".join(
            frame(HEADERS, END_HEADERS, stream, CALL) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
            for stream in range(1, FLOOD, 2)
        ),
        "pings": OPENING + frame(PING, 0, 0, bytes(8)) * FLOOD,
        "settings": OPENING + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * FLOOD,
        "headers without end": OPENING
        + frame(HEADERS, 0, 1, CALL)
        + frame(CONTINUATION, 0, 1, header("x", "y" * 100) * 100) * 1000,
        "empty data": OPENING + frame(HEADERS, END_HEADERS, 1, CALL) + frame(DATA, 0, 1) * FLOOD,
    }
