"""Is the broker there, does it let us in, may we publish, and does what we publish arrive? For `edged doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edged.adapters.mqtt_link import Link, Message, Refusal, Versions
from edged.bus.outbox import Letter
from edged.bus.topics import Channel
from edged.config import Mqtt
from edged.errors import BrokerLost
from edged.units import MS_PER_S

TRIAL_S = 3.0
TRIAL = Channel(name="doctor", path="doctor", summary="What `edged doctor` sends to itself.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a message of ours met with."""

    version: str
    topic: str
    acknowledged: bool | None  # None: no answer
    echo_ms: float | None  # None: it did not come back to us


def try_broker(broker: Mqtt, device: str) -> Trial:
    """Send one message to ourselves, not retained. Raises `BrokerLost` when there is no connection, or not for long."""
    versions, topic = Versions(broker.protocol), f"{broker.base}/{device}/{TRIAL.path}"
    while True:
        trial = _Visit(broker, versions.current, f"{device}-doctor", topic)
        try:
            return trial.run()
        except BrokerLost as lost:
            if not versions.blame(lost):
                raise


class _Visit:
    """One connection, one message."""

    def __init__(self, broker: Mqtt, version: str, client_id: str, topic: str) -> None:
        self._topic = topic
        self._acknowledged: bool | None = None
        self._echoed_s: float | None = None
        self._link = Link(broker, version, client_id=client_id, on_settled=self._settled, on_message=self._came_back)

    def run(self) -> Trial:
        try:
            self._link.open()
            self._link.subscribe(self._topic)
            sent_s = time.monotonic()
            self._link.send(Letter(topic=self._topic, payload=b"{}", channel=TRIAL))
            while not self._done and time.monotonic() - sent_s < TRIAL_S:
                self._link.turn(0.05)
            self._link.close()
        finally:
            self._link.abandon()
        echo_ms = None if self._echoed_s is None else (self._echoed_s - sent_s) * MS_PER_S
        return Trial(version=self._link.version, topic=self._topic, acknowledged=self._acknowledged, echo_ms=echo_ms)

    @property
    def _done(self) -> bool:
        return self._acknowledged is False or (self._acknowledged is True and self._echoed_s is not None)

    def _settled(self, letter: Letter, refusal: Refusal | None) -> None:
        self._acknowledged = refusal is None

    def _came_back(self, message: Message) -> None:
        self._echoed_s = time.monotonic()
