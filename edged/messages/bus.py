"""Where messages leave and requests arrive: the port between the daemon and MQTT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edged.messages.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message somebody sent to a topic we listen to. What only MQTT 5 carries is None with 3.1.1."""

    path: str  # as in `Topic`: below <base>/<device>/, or the whole topic after a leading slash
    payload: bytes
    retain: bool  # an old one, kept by the broker: not to be acted on
    response_topic: str | None = None  # where the sender wants the answer, a whole topic
    correlation: bytes | None = None  # to be sent back with the answer
    content_type: str | None = None  # type of the payload, like application/json


class Bus(Protocol):
    """Where messages leave, and requests come in.

    `publish` never blocks: it is bounded, and what it drops is counted. How a message is delivered is its
    topic's channel's business; bytes are sent as they are (a JPEG). It raises ValueError for NaN and infinity.
    `listen` may be called at any time, once per topic, and wildcards may be used; the bus subscribes on every
    connect. `take` runs in the bus's thread, must return at once, and does no harm when it raises.
    """

    def publish(
        self, topic: Topic, message: Mapping[str, Any] | bytes, *, correlation: bytes | None = None
    ) -> None: ...
    def subscribe(self, topic: Topic, callback: Callable[[Request], None]) -> None: ...
    @property
    def stats(self) -> dict[str, Any]: ...  # for `health`: connected, protocol, reconnects, and the tally
    def close(self) -> None: ...
