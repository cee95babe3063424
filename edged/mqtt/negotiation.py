"""How a broker is greeted: with which MQTT version, and with a last will that it can store.

Upstream: the errors of one attempt after the other. Downstream: `connection`. Pure.
A broker of MQTT 5 says what it lacks; one of 3.1.1 hangs up without a word, so that less is asked of it step by step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from paho.mqtt.enums import MQTTProtocolVersion

from edged.errors import BrokerLost

VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
RETAIN_REFUSED, QOS_REFUSED = "Retain not supported", "QoS not supported"  # names of MQTT 5 reason codes


class ConnectionRefused(BrokerLost):
    """There was an answer: a refusal, or not from the broker that was asked for."""


class UnsupportedProtocol(ConnectionRefused):
    """The broker does not speak this MQTT version."""


class GreetingRefused(ConnectionRefused):
    """The broker does not take retained messages, or none with QoS 1, and said so."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason.lower().replace(" ", "-"))
        self.reason = reason


class GreetingDoubted(BrokerLost):
    """A broker of 3.1.1 let us in when less was asked of it; it may have been starting, so all is asked once more."""


class NoConnack(BrokerLost):
    """Connected, but CONNECT was not answered: the broker is starting, or lacks something that it was asked for."""

    def __init__(self, text: str = "", code: str = "", *, hint: str = "", closed: bool = False) -> None:
        """`closed`: it hung up; else it was silent. `hint` is for a broker that never let us in."""
        super().__init__(text + hint, code)
        self.text = text
        self.closed = closed


@dataclass(frozen=True, slots=True)
class Greeting:
    """What is asked of a broker."""

    retain: bool = True
    max_qos: int = 1


FULL = Greeting()
GREETINGS = (FULL, Greeting(retain=False), Greeting(max_qos=0), Greeting(retain=False, max_qos=0))


class Negotiator:
    """What to try next: the MQTT version that worked, else the next after one that was not understood."""

    def __init__(self, protocol: str) -> None:
        self._rotation = deque(VERSIONS if protocol == "auto" else [protocol])
        self._confirmed: set[str] = set()
        self._failed: set[str] = set()  # since the last connection
        self._greetings_failed = False  # all of them, since the last connection: then one is tried after each wait
        self._candidate: Greeting | None = None  # it worked; FULL is tried once more
        self._proved: Greeting | None = None  # it worked, and FULL did not afterwards
        self.greeting = FULL

    @property
    def current(self) -> str:
        """The version."""
        return self._rotation[0]

    @property
    def worked(self) -> bool:
        """Whether there ever was a connection."""
        return bool(self._confirmed)

    def confirm(self) -> None:
        """The current version and greeting work. Raises GreetingDoubted when that needs a second look."""
        if self.current == "3.1.1" and self.greeting not in (FULL, self._proved):
            raise GreetingDoubted
        self._confirmed.add(self.current)
        self._failed.clear()
        self._greetings_failed = False
        self._candidate = None

    def disconnected(self) -> None:
        """The connection has ended; the next broker may be able to do more."""
        self.greeting = FULL
        self._candidate = self._proved = None

    def lower_greeting(self, error: Exception) -> bool:
        """Whether another greeting is to be tried at once."""
        before = self.greeting
        if isinstance(error, GreetingDoubted):
            self._candidate, self.greeting = before, FULL
            return True
        if isinstance(error, GreetingRefused):
            no_retain = error.reason == RETAIN_REFUSED
            self.greeting = replace(before, retain=False) if no_retain else replace(before, max_qos=0)
            return self.greeting != before
        if not (isinstance(error, NoConnack) and error.closed and self.current == "3.1.1"):
            return False
        if self._candidate is not None:
            self.greeting = self._proved = self._candidate
            self._candidate = None
            return True
        self.greeting = GREETINGS[(GREETINGS.index(before) + 1) % len(GREETINGS)]
        at_once = self.greeting != FULL and not self._greetings_failed
        self._greetings_failed |= self.greeting == FULL
        return at_once

    def try_next(self, error: Exception) -> bool:
        """Whether the version may be the cause of this error, and another one is left to try before reporting it."""
        unanswered = isinstance(error, NoConnack) and self.current not in self._confirmed
        if not (unanswered or isinstance(error, UnsupportedProtocol)):
            return False
        self._failed.add(self.current)
        self._rotation.rotate(-1)
        return len(self._failed) < len(self._rotation)
