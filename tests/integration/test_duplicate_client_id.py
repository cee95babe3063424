"""A broker that accepts and disconnects the client again, as with two devices of one id."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("paho.mqtt", reason="needs paho-mqtt")

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.mqtt import client
from edged.mqtt.client import MqttBus
from edged.mqtt.duplicate_id import REPEATED_AFTER
from tests.support.waiting import until

WELCOME = bytes([0x20, 3, 0, 0, 0])  # CONNACK of MQTT 5: no session, success, no properties


class Fickle:
    """Lets everybody in; while `cuts`, hangs up at once."""

    def __init__(self) -> None:
        self.cuts = True
        self.welcomed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._listening.accept()
            except OSError:
                return
            guest.recv(4096)
            guest.sendall(WELCOME)
            self.welcomed += 1
            guest.close() if self.cuts else self._kept.append(guest)

    def close(self) -> None:
        self._listening.close()
        for guest in self._kept:
            guest.close()


@pytest.fixture
def fickle() -> Iterator[Fickle]:
    broker = Fickle()
    yield broker
    broker.close()


def test_two_devices_of_one_id_log_it_once(
    fickle: Fickle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("edged.runtime.backoff.INITIAL_WAIT_S", 0.01)
    monkeypatch.setattr(client, "STABLE_AFTER_S", 0.3)
    monkeypatch.setattr(client, "POLL_S", 0.01)
    bus = MqttBus(MqttConfig(port=fickle.port, protocol="5"), "barn", lambda state: {"state": state}, PublishConfig())
    until(lambda: fickle.welcomed >= REPEATED_AFTER + 3)
    hints = [line for line in caplog.messages if "device.id barn too" in line]
    assert len(hints) == 1
    assert sum("connected" in line for line in caplog.messages) == REPEATED_AFTER
    fickle.cuts = False
    until(lambda: "connected again" in caplog.messages[-1])
    bus.close()
