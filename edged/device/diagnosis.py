"""The result of the `diagnose` command: everything that explains a device from afar, without secrets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edged.messages.build import encode

MAX_BYTES = 120_000  # of the JSON; AWS IoT Core takes messages of 128 KiB
OMITTED = "left out: too long"


def bundle(parts: Mapping[str, Any], lines: Sequence[str], max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The parts and the log lines. Over `max_bytes` the oldest lines are left out, and then the largest parts."""
    body: dict[str, Any] = {**parts, "log": list(lines)}
    while len(encode(body)) > max_bytes and body["log"]:
        body["log"] = body["log"][len(body["log"]) // 4 + 1 :]
    for name in sorted(parts, key=lambda name: -len(encode({name: parts[name]}))):
        if len(encode(body)) <= max_bytes:
            break
        body[name] = OMITTED
    return body
