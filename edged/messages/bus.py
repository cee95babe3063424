"""The port between the daemon and MQTT: where messages leave and requests arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edged.messages.topics import Topic

MAX_PAYLOAD_BYTES, MAX_CORRELATION_BYTES = 4096, 1024  # of a command
MAX_REQUEST_BYTES = 1 << 17  # of any other request: what a fleet wants


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message on a topic that the device subscribes to. What only MQTT 5 carries is None with 3.1.1."""

    path: str  # as in `Topic`: below <base>/<device>/, or the whole topic after a leading slash
    payload: bytes
    retain: bool  # True: an old message, stored by the broker; not to be executed
    response_topic: str | None = None  # for the answer, a whole topic
    correlation: bytes | None = None  # correlation data, repeated in the answer


class Bus(Protocol):
    """Publishes messages and delivers requests.

    `publish` never blocks: its queue is bounded, and dropped messages are counted. The topic's `TopicSpec` says how
    a message is delivered; bytes are sent as they are (a JPEG). Raises ValueError for NaN and infinity. Thread: any.
    `subscribe` may be called at any time, once per topic, with wildcards; the bus subscribes on every connect.
    `callback` runs in the bus's thread and must return at once; its exceptions are logged. `on_published` is called
    once the broker has the message, unless that goes through the store, as by `call`: in a thread that may wait for
    the disk. An `optional` subscription that the broker refuses is no problem.
    """

    def publish(
        self,
        topic: Topic,
        message: Mapping[str, Any] | bytes,
        *,
        correlation: bytes | None = None,
        on_published: Callable[[], None] | None = None,
    ) -> None: ...
    def subscribe(self, topic: Topic, callback: Callable[[Request], None], *, optional: bool = False) -> None: ...
    def call(self, function: Callable[[], None]) -> None: ...
    @property
    def stats(self) -> dict[str, Any]: ...  # the `mqtt` part of `health`
    @property
    def broker_certificate_end_s(self) -> float | None: ...  # UTC; None: not connected, or without TLS
    def close(self) -> None: ...
