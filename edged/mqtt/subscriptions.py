"""Who gets the messages that arrive, by topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set

from edged.messages.bus import Request
from edged.messages.topics import matches
from edged.mqtt.incoming import IncomingMessage

log = logging.getLogger(__name__)

Callback = Callable[[Request], None]


class Subscriptions:
    """The callbacks of a bus, by full topic, which may have wildcards. They outlive every connection."""

    def __init__(self, root: str) -> None:
        """`root` is <base>/<device>/."""
        self._root = root
        self._callbacks: dict[str, Callback] = {}
        self._optional: set[str] = set()

    def add(self, topic: str, callback: Callback, *, optional: bool = False) -> None:
        """A later one for the same topic replaces the one before. Thread: any."""
        if optional:
            self._optional.add(topic)
        self._callbacks[topic] = callback

    def give_up(self, topic: str, reason: str) -> bool:
        """Whether the topic, which the broker refuses, is one that can be done without; it is not asked for again."""
        if topic not in self._optional:
            return False
        log.info("broker: %s may not be read (%s); what depends on it is left alone", topic, reason)
        self._callbacks.pop(topic, None)
        return True

    @property
    def topics(self) -> Set[str]:
        """All that is subscribed to."""
        return self._callbacks.keys()

    def deliver(self, message: IncomingMessage) -> None:
        """To every callback whose topic matches; one that raises is logged. Thread: MQTT."""
        for topic, callback in list(self._callbacks.items()):
            if matches(topic, message.topic):
                self._call(callback, message)

    def _call(self, callback: Callback, message: IncomingMessage) -> None:
        path = message.topic.removeprefix(self._root)
        request = Request(
            path=path if path != message.topic else f"/{path}",
            payload=message.payload,
            retain=message.retain,
            response_topic=message.response_topic,
            correlation=message.correlation,
        )
        try:
            callback(request)
        except Exception:  # foreign code: the connection outlives an error in it
            log.exception("broker: the callback for %s failed", message.topic)
