"""Text from other machines, made fit for logs, terminals and messages: the one place where it is cleaned and read.

Upstream: replies of cameras, messages of other devices, commands. The limits of a packet are in `mqtt.packet_limit`.
"""

from __future__ import annotations

import json
from typing import Any

MAX_CHARS = 200  # of what others say that are kept
MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS = 256, 16  # of a topic that another machine chooses


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    """The text on one line: control characters and lone surrogates escaped, cut to `max_chars` and marked with `…`."""
    escaped = _escaped(text[: max_chars + 1])
    return escaped if len(escaped) <= max_chars else f"{escaped[:max_chars]}…"


def printable_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON for a terminal: letters of any language as they are, control characters escaped."""
    lines = json.dumps(value, indent=indent, ensure_ascii=False).split("\n")
    return "\n".join(map(_escaped_json, lines))


def foreign_json(payload: bytes | str) -> Any:
    """What a text in JSON says; None for what is no JSON, or nested too deep."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def topic_fault(topic: str) -> str | None:
    """Why we do not publish on a topic that another machine names; None: nothing is wrong with it."""
    if not topic or topic.startswith(("$", "/")) or any(char in topic for char in "+#"):
        return "is no topic to publish on"
    if not topic.isprintable():
        return "has characters that cannot be printed"
    if len(topic.encode()) > MAX_TOPIC_BYTES or topic.count("/") >= MAX_TOPIC_LEVELS:
        return f"is longer than {MAX_TOPIC_BYTES} bytes or {MAX_TOPIC_LEVELS} levels"
    return None


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _escaped_json(text: str) -> str:
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
