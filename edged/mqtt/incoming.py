"""A message that arrived from the broker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edged.messages.bus import MAX_CORRELATION_BYTES

MAX_TOPIC_CHARS = 1024  # kept of a request's topics; longer than ours, and than where an answer may go


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """One message received."""

    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None = None
    correlation: bytes | None = None

    def limited(self, max_bytes: int) -> IncomingMessage:
        """As a request: of each part what tells that it is too long, so that what waits takes little memory."""
        return replace(
            self,
            topic=self.topic[:MAX_TOPIC_CHARS],
            payload=self.payload[: max_bytes + 1],
            response_topic=None if self.response_topic is None else self.response_topic[:MAX_TOPIC_CHARS],
            correlation=None if self.correlation is None else self.correlation[: MAX_CORRELATION_BYTES + 1],
        )
