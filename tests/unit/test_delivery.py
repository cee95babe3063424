"""What is known of topics at which a broker takes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edged.messages import topics
from edged.mqtt import delivery
from edged.mqtt.connection import Refusal
from edged.mqtt.delivery import Delivery
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import BrokerLimits

PICTURE = OutgoingMessage(topic="edged/box/cam/a/snapshot", payload=b"", spec=topics.SNAPSHOT)
REFUSED = Refusal(reason="Not authorized")


class Connection:
    """One of MQTT 5 that takes everything."""

    version, limits, careful = "5", BrokerLimits(), False

    def __init__(self) -> None:
        self.subscribed = {"edged/box/command"}

    def awaits(self, message: OutgoingMessage) -> bool:
        return False


@pytest.fixture
def connection() -> Any:
    return Connection()


@pytest.fixture
def broker(connection: Any) -> Delivery:
    found = Delivery("box", "edged/box/", lambda message, result: None, lambda: None)
    found.begin(connection)
    return found


def test_refused_topic_at_which_nothing_is_sent_any_more_is_forgotten(
    broker: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.on_result(PICTURE, REFUSED)
    broker.check()
    assert broker.stats["refused_topics"] == {PICTURE.topic: "Not authorized"}
    monkeypatch.setattr(delivery, "FORGET_REFUSED_S", -1.0)
    broker.check()
    assert broker.stats["refused_topics"] == {}


def test_refused_subscription_is_tried_again_later(
    broker: Delivery, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", 1000.0)
    broker.on_subscribed("edged/box/command", REFUSED)
    broker.check()
    assert broker.refused_subscriptions == {"edged/box/command"}, "not at once"
    assert not connection.subscribed
    broker.begin(connection)
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", -1.0)
    broker.on_subscribed("edged/box/command", REFUSED)
    assert broker.check() == {"edged/box/command"}
    assert not broker.refused_subscriptions


def test_message_that_is_refused_for_ever_is_called_too_large_only_for_its_size(broker: Delivery) -> None:
    broker.on_result(PICTURE, Refusal(reason="Payload format invalid", permanent=True))
    assert (broker.stats["refused_topics"], broker.stats["too_large"]) == (
        {PICTURE.topic: "Payload format invalid"},
        {},
    )
    broker.on_result(replace(PICTURE, topic="edged/box/health"), Refusal(reason="Packet too large", permanent=True))
    assert list(broker.stats["too_large"]) == ["edged/box/health"]
