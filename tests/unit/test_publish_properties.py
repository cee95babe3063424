"""MQTT 5 properties of messages: most are shared, those with another machine's bytes are not kept."""

from __future__ import annotations

import weakref

from edged.messages.topics import RESULT
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import publish_properties


def answer(correlation: bytes | None) -> OutgoingMessage:
    spec = RESULT.at(command="reload").spec
    return OutgoingMessage(topic="a/cmd/reload/result", payload=b"{}", spec=spec, correlation=correlation)


def test_answer_repeats_the_correlation_data_and_nothing_keeps_them() -> None:
    properties = publish_properties(answer(b"7"))
    assert properties.CorrelationData == b"7"  # type: ignore[attr-defined]
    ended = weakref.ref(properties)
    del properties
    assert ended() is None
    assert not hasattr(publish_properties(answer(None)), "CorrelationData")
