"""Where an ONNX file keeps its weights, read from its bytes: without the onnx package, and without its weights.

Source of the numbers: onnx.proto. The file is a stranger's: every length is checked, nothing is recursive.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 3_000_000  # a real model has some ten thousand
MAX_VARINT_BYTES = 10
MAX_NAME_BYTES = 200
# The fields of each message that lead to tensors.
MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external", 14: "location"},
}
Buffer = bytes | memoryview


class NotWhole(ValueError):
    """The bytes are no protobuf message, or end inside one."""


def external_data(data: Buffer) -> str | None:
    """The name of a second file that holds weights of this model, "" if it has none; None: all are in it.

    Raises `NotWhole`.
    """
    todo = [("model", 0, len(data))]
    left = MAX_FIELDS
    while todo:
        message, start, end = todo.pop()
        for number, kind, begin, stop in _fields(data, start, end):
            if (left := left - 1) < 0:
                raise NotWhole(f"has more than {MAX_FIELDS} fields")
            inner = MESSAGES[message].get(number)
            if inner == "external" or (inner == "location" and begin != 0):
                return _location(data, begin, stop) if kind == BYTES else ""
            if inner not in (None, "location") and kind == BYTES:
                todo.append((str(inner), begin, stop))
    return None


def _fields(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number and wire type of every field; then where its bytes begin and end, or of a number its value twice."""
    while at < end:
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(data, at, end)
            yield number, kind, value, value
            continue
        if kind not in (FIXED64, BYTES, FIXED32) or number == 0:
            raise NotWhole(f"has a field of type {kind} at byte {at}")
        size, at = _varint(data, at, end) if kind == BYTES else (8 if kind == FIXED64 else 4, at)
        if at + size > end:
            raise NotWhole(f"ends inside a field at byte {at}")
        yield number, kind, at, at + size
        at += size


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """The number at this place, and the place after it."""
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if at + index >= end:
            raise NotWhole(f"ends inside a number at byte {at}")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise NotWhole(f"has a number of more than {MAX_VARINT_BYTES} bytes at byte {at}")


def _location(data: Buffer, start: int, end: int) -> str:
    """The value of an entry whose key is `location`; "" for another entry."""
    entry = {
        number: bytes(data[a : min(b, a + MAX_NAME_BYTES)])
        for number, kind, a, b in _fields(data, start, end)
        if kind == BYTES
    }
    return entry.get(2, b"").decode(errors="replace") if entry.get(1) == b"location" else ""
