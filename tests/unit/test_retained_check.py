"""With MQTT 3.1.1 a retained command is told from a live one by what the broker sends again."""

from __future__ import annotations

from typing import cast

from edged.mqtt.connection import MqttConnection
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.retained_check import MAX_HELD, WAIT_S, RetainedCheck

PATTERN = "edged/box/cmd/+"


class Connection:
    """What is subscribed to."""

    def __init__(self, version: str = "3.1.1") -> None:
        self.version = version
        self.subscriptions: list[str] = []

    def subscribe(self, topic: str) -> None:
        self.subscriptions.append(topic)


class Box:
    def __init__(self, version: str = "3.1.1") -> None:
        self.connection = Connection(version)
        self.delivered: list[tuple[str, bool]] = []
        self.bytes: list[int] = []  # of topic and payload
        self.now_s = 0.0
        self.check = RetainedCheck(PATTERN, self.deliver, lambda: self.now_s)

    def deliver(self, message: IncomingMessage) -> None:
        self.delivered.append((message.topic, message.retain))
        self.bytes.append(len(message.topic) + len(message.payload))

    def receive(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> None:
        message = IncomingMessage(topic=topic, payload=payload, retain=retain)
        self.check.arrived(cast("MqttConnection", self.connection), message)

    def wait(self) -> None:
        self.now_s += WAIT_S
        self.check.check()


def test_command_that_the_broker_sends_again_is_retained() -> None:
    box = Box()
    box.receive("edged/box/cmd/reload")
    box.receive("edged/box/cmd/snooze")
    box.receive("edged/box/cmd/reload", retain=True)
    assert (box.delivered, box.connection.subscriptions) == ([], [PATTERN] * 2)
    box.wait()
    assert box.delivered == [("edged/box/cmd/reload", True), ("edged/box/cmd/snooze", False)]


def test_waiting_command_takes_little_memory_and_other_messages_come_whole() -> None:
    box = Box()
    box.receive("edged/box/cmd/reload", b"x" * (1 << 18))
    box.wait()
    assert box.bytes[-1] < 6000
    box.receive("edged/fleet/barns/desired", b"x" * 100_000)
    assert box.bytes[-1] > 100_000
    box.receive("a" * 60_000, b"x" * (1 << 18))
    assert box.bytes[-1] < 140_000


def test_other_messages_are_delivered_at_once() -> None:
    box, newer = Box(), Box("5")
    box.receive("edged/box/cmd/reload/result")
    box.receive("edged/box/cmd/reload", retain=True)
    newer.receive("edged/box/cmd/reload")
    assert box.delivered == [("edged/box/cmd/reload/result", False), ("edged/box/cmd/reload", True)]
    assert newer.delivered == [("edged/box/cmd/reload", False)]


def test_flood_of_commands_is_taken_for_retained() -> None:
    box = Box()
    for _ in range(MAX_HELD + 1):
        box.receive("edged/box/cmd/reload")
    assert box.delivered == [("edged/box/cmd/reload", True)]


def test_command_before_a_lost_connection_is_given_up() -> None:
    box = Box()
    box.receive("edged/box/cmd/reload")
    box.check.disconnected()
    box.wait()
    assert box.delivered == []
