"""Messages as they go out: the whole topic, the encoding, and whether the broker keeps them. Pure.

Upstream: `client`, and the persistent queue, whose messages may be those of another device id. Thread: any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edged.messages import cbor, topics
from edged.messages.build import encode
from edged.messages.topics import Topic
from edged.mqtt.send_queue import CBOR, JSON, OutgoingMessage


class MessageFactory:
    """`root` is <base>/<device>/. Raises ConfigError when CBOR is wanted and not installed."""

    def __init__(self, root: str, encoding: str) -> None:
        self._root = root
        self._use_cbor = encoding == "cbor"
        if self._use_cbor:
            cbor.require_cbor2()

    def full(self, topic: Topic) -> str:
        """The topic with <base>/<device>/."""
        return topic.path[1:] if topic.path.startswith("/") else self._root + topic.path

    def absolute(self, topic: Topic) -> Topic:
        """The same topic, whatever this device is called later."""
        return replace(topic, path=f"/{self.full(topic)}")

    def __call__(
        self,
        topic: Topic,
        message: Mapping[str, Any] | bytes,
        correlation: bytes | None = None,
        on_published: Callable[[], None] | None = None,
    ) -> OutgoingMessage:
        """Raises ValueError for what is not JSON."""
        full, spec = self.full(topic), topic.spec
        payload, content = self._encode(topic, message)
        if payload and spec.store_priority is not None and not full.startswith(self._root):
            spec = replace(spec, retain=False)  # made under another id: delivered, but nothing of that id is to stay
        return OutgoingMessage(
            topic=full,
            payload=payload,
            spec=spec,
            content_type=content,
            correlation=correlation,
            queued_ns=time.monotonic_ns(),
            on_published=on_published,
        )

    def _encode(self, topic: Topic, message: Mapping[str, Any] | bytes) -> tuple[bytes, str]:
        """A payload and its content type."""
        if isinstance(message, bytes):
            return message, topic.spec.media_type or JSON
        if topic.spec is topics.POSES and self._use_cbor:
            return cbor.pack(message), CBOR
        return encode(message), JSON
