"""A broker that accepts and disconnects the client again, as with two devices of one id."""

from __future__ import annotations

import logging
import socket

import pytest

pytest.importorskip("paho.mqtt", reason="needs paho-mqtt")

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.mqtt import client
from edged.mqtt.client import MqttBus
from edged.mqtt.duplicate_id import REPEATED_AFTER
from tests.support.tcp_server import tcp_server
from tests.support.waiting import until

WELCOME = bytes([0x20, 3, 0, 0, 0])  # CONNACK of MQTT 5: no session, success, no properties


class Fickle:
    """Lets everybody in; while `cuts`, hangs up at once."""

    def __init__(self) -> None:
        self.cuts = True
        self.welcomed = 0

    def serve(self, guest: socket.socket) -> None:
        guest.recv(4096)
        guest.sendall(WELCOME)
        self.welcomed += 1
        while not self.cuts and guest.recv(4096):
            pass


def test_two_devices_of_one_id_log_it_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("edged.runtime.backoff.INITIAL_WAIT_S", 0.01)
    monkeypatch.setattr(client, "STABLE_AFTER_S", 1.0)
    monkeypatch.setattr(client, "POLL_S", 0.01)
    fickle = Fickle()
    with tcp_server(fickle.serve) as port:
        bus = MqttBus(MqttConfig(port=port, protocol="5"), "barn", lambda state: {"state": state}, PublishConfig())
        until(lambda: fickle.welcomed >= REPEATED_AFTER + 3)
        hints = [line for line in caplog.messages if "device.id barn too" in line]
        assert len(hints) == 1
        assert sum("connected" in line for line in caplog.messages) == REPEATED_AFTER
        fickle.cuts = False
        until(lambda: any("connected again" in line for line in caplog.messages))
        bus.close()
