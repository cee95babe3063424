"""Topics and retention of messages, also of those that were made under another device id."""

from __future__ import annotations

import pytest

from edged.messages import topics
from edged.messages.topics import Topic
from edged.mqtt.message_factory import MessageFactory
from edged.mqtt.sqlite_queue import QueueRow

STATE, ALERT = topics.STATE.at(camera="a"), topics.ALERT.at(camera="a")


def stored(topic: Topic, root: str) -> Topic:
    """As it is read from the disk after it was put by a device of that root."""
    row = QueueRow.of(MessageFactory(root, "json").absolute(topic), {"id": "1"})
    assert row.topic is not None
    return row.topic


@pytest.mark.parametrize(
    ("topic", "body", "full", "retain"),
    [
        (STATE, {}, "edged/box/cam/a/state", True),
        (stored(STATE, "edged/box/"), {}, "edged/box/cam/a/state", True),
        (stored(STATE, "edged/old/"), {}, "edged/old/cam/a/state", False),
        (stored(STATE, "edged/old/"), b"", "edged/old/cam/a/state", True),  # clears
        (stored(ALERT, "edged/old/"), {}, "edged/old/cam/a/alert", False),
        (
            Topic(path="/homeassistant/device/box/box/config", spec=topics.INFO),
            {},
            "homeassistant/device/box/box/config",
            True,
        ),
    ],
)
def test_message_keeps_its_topic_and_stays_at_the_broker_only_below_our_own(
    topic: Topic, body: dict[str, str] | bytes, full: str, *, retain: bool
) -> None:
    message = MessageFactory("edged/box/", "json")(topic, body)
    assert (message.topic, message.spec.retain) == (full, retain)
