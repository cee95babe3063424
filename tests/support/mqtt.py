"""Debian's MQTT broker on a free loopback port, and a subscriber that is not ours."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

from tests.support.waiting import LIMIT_S, until
from tools.fleet.brokers import free_port

MQTTv5, MQTTv311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Mosquitto:
    """Debian's mosquitto; `lines` are further lines of its configuration."""

    folder: Path
    binary: str
    lines: tuple[str, ...] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        user = ("user root",) if os.geteuid() == 0 else ()
        text = "\n".join((f"listener {self.port} 127.0.0.1", *user, *self.lines, ""))
        (self.folder / "mosquitto.conf").write_text(text)
        with (self.folder / "mosquitto.log").open("ab") as out:
            self.process = subprocess.Popen([self.binary, "-c", self.folder / "mosquitto.conf"], stdout=out, stderr=out)
        until(lambda: _answers(self.port))
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(LIMIT_S)
            self.process = None


def start(client: Client, port: int, tls: ssl.SSLContext | None, login: tuple[str, str] | None) -> None:
    """Connect a client to a broker of this machine, and run its loop in a thread."""
    if tls is not None:
        client.tls_set_context(tls)
    if login is not None:
        client.username_pw_set(*login)
    client.connect("127.0.0.1", port)
    client.loop_start()


class Listener:
    """Everything published below a topic, as (topic, payload), from a plain paho client."""

    def __init__(
        self,
        port: int,
        topic: str = "#",
        *,
        version: MQTTProtocolVersion = MQTTv5,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.messages: list[MQTTMessage] = []
        self._subscriptions: list[int] = []
        self._sorted = 0  # messages, into:
        self._by_topic: defaultdict[str, list[MQTTMessage]] = defaultdict(list)
        self._decoded: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        # Of the lists only: paho closes its pair of sockets when the client is deleted, which a cycle would delay.
        subscriptions, messages = self._subscriptions, self.messages
        self._client.on_subscribe = lambda client, userdata, mid, *_: subscriptions.append(mid)
        self._client.on_message = lambda client, userdata, message: messages.append(message)
        start(self._client, port, tls, login)
        until(lambda: self.subscribed)

    @property
    def subscribed(self) -> int:
        """How often: it comes back with the broker."""
        return len(self._subscriptions)

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        """Decoded once each: waiting tests ask a hundred times a second. Empty where a retained one was cleared."""
        new = self.messages[self._sorted :]
        self._sorted += len(new)
        for message in new:
            self._by_topic[message.topic].append(message)
        decoded = self._decoded[topic]
        decoded += [json.loads(message.payload or b"{}") for message in self._by_topic[topic][len(decoded) :]]
        return list(decoded)

    def states(self, topic: str) -> list[str]:
        return [body["state"] for body in self.bodies(topic)]

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: Properties | None = None
    ) -> MQTTMessageInfo:
        return self._client.publish(topic, payload, 1, retain, properties)

    def close(self) -> None:
        self._client.disconnect()
        with suppress(AttributeError):  # paho's thread forgets itself as it ends, between loop_stop's look and its join
            self._client.loop_stop()
