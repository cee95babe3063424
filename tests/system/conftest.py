"""A real MQTT broker on a free loopback port, and a subscriber that is not ours."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

MQTTv5, MQTTv311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311

LIMIT_S = 20.0


def until(true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Wait for a state; fail when it does not come."""
    end_s = time.monotonic() + limit_s
    while not (found := true()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        self.subscribed = 0  # times: it comes back with the broker
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: setattr(self, "subscribed", self.subscribed + 1)
        self._client.on_message = lambda client, userdata, message: self.messages.append(message)
        if tls is not None:
            self._client.tls_set_context(tls)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: self.subscribed)

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in list(self.messages) if message.topic == topic]

    def states(self, topic: str) -> list[str]:
        return [body["state"] for body in self.bodies(topic)]

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _openssl(*args: str, at: Path) -> None:
    subprocess.run(["openssl", *args], cwd=at, check=True, capture_output=True, timeout=60)


def _sign(name: str, at: Path, extension: str) -> None:
    """A key pair for `name`, signed by ca.pem."""
    (at / "ext").write_text(extension)
    _openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}", at=at
    )
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-out", f"{name}.pem")
    _openssl("x509", "-req", "-in", "csr", "-days", "2", *signed, at=at)


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server and two clients signed by it, and another authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    at = tmp_path_factory.mktemp("certs")
    new_ca = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout")
    for name in ("ca", "other"):
        _openssl(*new_ca, f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", at=at)
    _sign("server", at, "subjectAltName=IP:127.0.0.1")
    for client in ("box", "reader"):
        _sign(client, at, "extendedKeyUsage=clientAuth")
    return at


@pytest.fixture(scope="session")
def mosquitto_binary() -> str:
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    return binary


@pytest.fixture
def new_mosquitto(mosquitto_binary: str, tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start a broker with these configuration lines."""
    brokers: list[Mosquitto] = []

    def start(*lines: str) -> Mosquitto:
        brokers.append(Mosquitto(folder=tmp_path, binary=mosquitto_binary, lines=lines or ("allow_anonymous true",)))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def mosquitto(new_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    return new_mosquitto()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(port: int, topic: str = "#", **settings: Any) -> Listener:
        listeners.append(Listener(port, topic, **settings))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()
