"""Who may write and read what on a broker, and a client that tries it; the tests of all brokers compare with it."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.mqtt import start
from tests.support.waiting import LIMIT_S, until

EAST, WEST = "barn-east", "barn-west"  # boxes with a certificate and with a password
PEOPLE = {"homeassistant": "h-secret", "operator": "o-secret", "reader": "r-secret", "cleaner": "c-secret"}
PATHS = ("status", "info", "health", "cam/a/status", "cam/a/alert", "cmd/reload", "cmd/reload/result", "end")
TOPICS = {  # every topic of the contract, for these two boxes and for people that act as one
    f"edged/{name}/{path}" for name in (EAST, WEST, "reader", "operator", "homeassistant") for path in PATHS
}
DISCOVERY = {f"homeassistant/device/{name}/{name}_a/config" for name in (EAST, WEST, *PEOPLE)}
DESIRED = {"edged/fleet/barns/desired"}
OTHERS = DESIRED | {"homeassistant/status", "homeassistant/switch/x/config", "edged/x", "site/a", "end"}
CENTRAL = {"site42/edged/box/cam/a/alert", "site42/edged/box/cmd/reload", "site42/link", "reader/link"}
ALL = TOPICS | DISCOVERY | OTHERS | CENTRAL


def box_rights(name: str) -> tuple[set[str], set[str]]:
    own = {topic for topic in ALL if topic.startswith((f"edged/{name}/", f"homeassistant/device/{name}/"))}
    return own | {"homeassistant/status"} | DESIRED, own


def matching(*parts: str) -> set[str]:
    return {topic for topic in ALL if any(part in topic for part in parts)}


READ_BY_PEOPLE = {topic for topic in ALL if topic.startswith(("edged/", "site42/edged/"))}
COMMANDS = {topic for topic in ALL if topic.endswith("/cmd/reload")}
LEFT_BY_BOXES = {topic for topic in ALL if topic.startswith("edged/") and "/cmd/" not in topic} | DISCOVERY
LINKS = {topic for topic in ALL if topic.endswith("/link")}
RIGHTS = {  # what each reads, and what it writes
    EAST: box_rights(EAST),
    WEST: box_rights(WEST),
    "homeassistant": (
        READ_BY_PEOPLE | matching("homeassistant/status", "homeassistant/device", "homeassistant/switch"),
        COMMANDS | {"homeassistant/status"},
    ),
    "operator": (READ_BY_PEOPLE | LINKS, COMMANDS | DESIRED),
    "reader": (READ_BY_PEOPLE | LINKS, set()),
    "cleaner": (LEFT_BY_BOXES, LEFT_BY_BOXES),
}


class Role:
    """A client that has subscribed to everything, or to what it may of `topics`."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        *,
        topics: Iterable[str] = ("#", "$SYS/#"),
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        qos: int = 1,
    ) -> None:
        self._subscriptions = [(topic, qos) for topic in topics]
        self.heard: list[tuple[str, bytes]] = []
        self.refusal: str | None = None
        self._ready = False
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: setattr(self, "_ready", True)
        self._client.on_message = lambda client, userdata, message: self.heard.append(
            (message.topic, bytes(message.payload))
        )
        start(self._client, port, tls, login)
        until(lambda: self._ready or self.refusal is not None)

    def _on_connect(self, client: Client, userdata: object, flags: object, reason: object, properties: object) -> None:
        if getattr(reason, "is_failure", False):
            self.refusal = str(reason)
            client.disconnect()
        else:
            client.subscribe(self._subscriptions)

    def write(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(LIMIT_S)

    def topics(self, payload: str) -> set[str]:
        return {topic for topic, heard in self.heard if heard == payload.encode()}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def written(roles: Mapping[str, Role]) -> dict[str, set[str]]:
    """Where each of RIGHTS could write, after all `roles` have tried every topic: as `all` hears it, who may do all."""
    every = roles["all"]
    for name, role in roles.items():
        for topic in sorted(ALL):
            role.write(topic, name)
    every.write("end", "last")
    until(lambda: every.topics("last"))
    return {name: every.topics(name) for name in RIGHTS}
