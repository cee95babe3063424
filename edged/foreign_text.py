"""Text from other machines, made fit for logs, terminals and messages: the one place where it is cleaned.

Upstream: replies of cameras, messages of other devices, commands.
"""

from __future__ import annotations

MAX_CHARS = 200


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    """The text on one line: control characters and lone surrogates escaped, cut to `max_chars` and marked with `…`."""
    escaped = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return escaped if len(escaped) <= max_chars else f"{escaped[:max_chars]}…"
