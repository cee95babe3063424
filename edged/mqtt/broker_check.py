"""What a broker does with everything that a device sends, tried once: `edged doctor`.

Downstream: `connection`. It greets as the daemon does, and sends on every topic what is retained there, so that no
reader sees a change; where nothing is retained, a message that is marked as a trial. Everything happens in the caller's
thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.foreign_text import foreign_json
from edged.messages import topics
from edged.messages.build import encode, new_id
from edged.messages.topics import TopicSpec
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.negotiation import VERSIONS, Greeting, Negotiator
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import BrokerLimits
from edged.units import MS_PER_S

RETAINED_S = 0.5  # for retained messages to arrive, once a topic is subscribed to
ACK_S = 2.0  # for the broker to acknowledge one message
ECHO_S = 2.0  # after the last message
MAX_CUTS = 12  # connections that may end in one check
# Not on `status`: a visit that is cut off would report a daemon as offline, or a dead one as online.
DOCTOR_SPEC = TopicSpec(name="doctor", path="doctor", summary="The last will of `edged doctor`.", retain=True)

Outcome = Literal["arrived", "taken", "refused", "dropped", "ended the connection", "unknown"]


@dataclass(slots=True, eq=False)
class TopicCheck:
    """One message on one topic. taken: acknowledged, which with this broker is a promise."""

    topic: str
    spec: TopicSpec
    min_bytes: int = 0
    payload: bytes = b""
    acknowledged: bool = False
    refusal: str = ""
    sent_s: float = 0.0
    round_trip_ms: float | None = None
    cut: bool = False

    def outcome(self, *, promises: bool, any_arrived: bool) -> Outcome:
        """`promises`: the broker refuses what it drops."""
        if self.cut:
            return "ended the connection"
        if self.refusal:
            return "refused"
        if self.round_trip_ms is not None:
            return "arrived"
        if promises and self.acknowledged:
            return "taken"
        return "dropped" if any_arrived else "unknown"


@dataclass(slots=True)
class BrokerReport:
    """What a broker did."""

    version: str
    other_versions: list[str]
    limits: BrokerLimits
    trials: Sequence[TopicCheck]
    retained: dict[str, bytes] = field(default_factory=dict)  # what was there before, by topic

    @property
    def outcomes(self) -> list[tuple[TopicCheck, Outcome]]:
        promises = self.version == "5" and self.limits.max_qos > 0
        any_arrived = any(trial.round_trip_ms is not None for trial in self.trials)
        return [(trial, trial.outcome(promises=promises, any_arrived=any_arrived)) for trial in self.trials]

    def retained_body(self, topic: str) -> dict[str, Any]:
        """The retained message of this topic; empty: there is none."""
        body = foreign_json(self.retained.get(topic, b"{}"))
        return body if isinstance(body, dict) else {}


def check_broker(broker: MqttConfig, device: str, trials: Sequence[TopicCheck], client_id: str) -> BrokerReport:
    """What became of one message of each trial. Raises BrokerLost without a connection.

    The device's own client id would disconnect its daemon.
    """
    visit = _Visit(broker, client_id, f"{broker.base_topic}/{device}/{DOCTOR_SPEC.path}")
    connection = visit.open()
    report = BrokerReport(connection.version, [], connection.limits, trials)
    try:
        report.retained = visit.read_retained({trial.topic for trial in trials})
        for trial in sorted(trials, key=lambda trial: trial.min_bytes):
            trial.payload = _payload(trial, report.retained.get(trial.topic))
            visit.send(trial)
        visit.wait(lambda: all(trial.round_trip_ms is not None or trial.cut for trial in trials), ECHO_S)
    finally:
        visit.close()
    report.other_versions = visit.other_versions(report.version)
    return report


class _Visit:
    """A connection that is opened again when a message ends it."""

    def __init__(self, broker: MqttConfig, client_id: str, will_topic: str) -> None:
        self._broker = broker
        self._client_id = client_id
        self._will: OutgoingMessage | None = OutgoingMessage(topic=will_topic, payload=b"", spec=DOCTOR_SPEC)
        self._negotiator = Negotiator(broker.protocol)
        self._connection: MqttConnection | None = None
        self._topics: set[str] = set()
        self._retained: dict[str, bytes] = {}
        self._sent: dict[tuple[str, bytes], TopicCheck] = {}
        self._cuts = 0

    def open(self) -> MqttConnection:
        while True:
            connection = self._new(self._negotiator.current, self._negotiator.greeting, self._will)
            try:
                connection.open()
                self._negotiator.confirm()
            except BrokerLost as error:
                connection.close()
                if error.code == "not-authorized" and self._will is not None:
                    self._will = None  # its topic may be what is refused; that of the daemon's is among the trials
                    continue
                if not (self._negotiator.lower_greeting(error) or self._negotiator.try_next(error)):
                    raise
                continue
            self._connection = connection
            for topic in self._topics:
                connection.subscribe(topic, as_published=False)
            return connection

    def read_retained(self, topics_of_device: set[str]) -> dict[str, bytes]:
        """What is retained on these topics; they stay subscribed to."""
        self._topics = topics_of_device
        for topic in topics_of_device:
            self._open().subscribe(topic, as_published=False)
        self.wait(lambda: False, RETAINED_S)
        return dict(self._retained)

    def send(self, trial: TopicCheck) -> None:
        """Send one message, and wait for its acknowledgement."""
        message = OutgoingMessage(topic=trial.topic, payload=trial.payload, spec=replace(trial.spec, retain=False))
        self._sent[trial.topic, trial.payload] = trial
        trial.sent_s = time.monotonic()
        try:
            self._open().send(message, acknowledged=True)
            self._poll_until(lambda: trial.acknowledged or bool(trial.refusal), ACK_S)
        except BrokerLost:
            trial.cut = True
            self._cuts += 1
            self._connection = None
            if self._cuts > MAX_CUTS:
                raise

    def wait(self, done: Callable[[], bool], timeout_s: float) -> None:
        with suppress(BrokerLost):
            self._poll_until(done, timeout_s)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def other_versions(self, used: str) -> list[str]:
        """The other MQTT versions that the broker speaks; none is tried if the configuration names one."""
        spoken = []
        for version in set(VERSIONS) - {used} if self._broker.protocol == "auto" else ():
            connection = self._new(version, Greeting(retain=False, max_qos=0), None)
            with suppress(BrokerLost):
                connection.open()
                connection.close()
                spoken.append(version)
            connection.abandon()
        return spoken

    def _open(self) -> MqttConnection:
        return self._connection or self.open()

    def _poll_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not done() and time.monotonic() < end_s:
            self._open().poll(0.05)

    def _new(self, version: str, greeting: Greeting, will: OutgoingMessage | None) -> MqttConnection:
        return MqttConnection(
            self._broker,
            version,
            client_id=self._client_id,
            will=will,
            greeting=greeting,
            on_result=self._on_result,
            on_message=self._on_message,
        )

    def _on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        trial = self._sent[message.topic, message.payload]
        trial.acknowledged = refusal is None
        trial.refusal = refusal.reason if refusal is not None else ""

    def _on_message(self, message: IncomingMessage) -> None:
        if message.retain:
            self._retained.setdefault(message.topic, message.payload)
        elif (trial := self._sent.get((message.topic, message.payload))) and trial.round_trip_ms is None:
            trial.round_trip_ms = (time.monotonic() - trial.sent_s) * MS_PER_S


def _payload(trial: TopicCheck, retained: bytes | None) -> bytes:
    """What is retained there, if it is large enough. Of an alert, one that has closed: nobody is to be woken by it."""
    if retained is not None and len(retained) >= trial.min_bytes:
        return retained
    if not trial.spec.name:
        return b""
    body: dict[str, Any] = {"trial": new_id(), "test": True}
    if trial.spec is topics.ALERT:
        body |= {"stage": "closed", "event_type": "camera-lost"}
    body["filler"] = "x" * max(0, trial.min_bytes - len(encode({**body, "filler": ""})))
    return encode(body)
