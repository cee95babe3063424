"""`edged watch` and `edged doctor` on a real broker."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edged.commands import doctor, watch
from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from tests.support.mqtt import Mosquitto
from tests.support.waiting import LIMIT_S, until
from tools.fleet.brokers import free_port

NewMosquitto = Callable[..., Mosquitto]

WATCH = """
import argparse, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit an ignored one
from edged.commands import watch
parser = argparse.ArgumentParser()
watch.arguments(parser)
sys.exit(watch.run(parser.parse_args()))
"""


def run(verb: ModuleType, *arguments: str | Path | float) -> int:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    return int(verb.run(parser.parse_args([str(argument) for argument in arguments])))


@pytest.fixture
def bus(mosquitto: Mosquitto) -> Iterator[MqttBus]:
    bus = MqttBus(
        MqttConfig(port=mosquitto.port), "box", partial(build.device_status, HeaderFactory(Clock())), PublishConfig()
    )
    until(lambda: bus.connected)
    yield bus
    bus.close()


def test_watch_prints_every_message_as_json(
    mosquitto: Mosquitto, bus: MqttBus, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.publish(topics.HEALTH.at(), {"uptime_s": 7})
    until(lambda: bus.counts.waiting == 0)
    assert run(watch, "--port", mosquitto.port, "--jsonl", "--for", 1) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"topic": "edged/box/health", "message": {"uptime_s": 7}} in printed


def test_watch_exits_with_0_on_ctrl_c(mosquitto: Mosquitto, bus: MqttBus) -> None:
    command = (sys.executable, "-c", WATCH, "--port", str(mosquitto.port), "--jsonl")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"online" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 0
    assert b"Traceback" not in err


def test_watch_without_a_broker_fails_and_prints_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(watch, "--port", free_port(), "--for", 0.5) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_watch_reads_the_password_from_a_file(
    new_mosquitto: NewMosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "me", "hunter2"], check=True, timeout=60)
    broker = new_mosquitto("allow_anonymous false", f"password_file {tmp_path / 'users'}")
    (tmp_path / "secret").write_text("hunter2\n")
    options = ("--port", broker.port, "--username", "me", "--for", 1)
    assert run(watch, *options, "--password-file", tmp_path / "secret") == 0
    assert run(watch, *options) == 1
    assert "refused: Not authorized" in capsys.readouterr().err


def configured(tmp_path: Path, port: int, source: Path, **mqtt: str) -> Path:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "image.png"), np.full((48, 64, 3), 90, np.uint8))
    more = "".join(f'{key} = "{value}"\n' for key, value in mqtt.items())
    text = f'[device]\nid = "box"\n[mqtt]\nport = {port}\n{more}[cameras.barn]\nsource = "{source}"\n'
    (tmp_path / "edged.toml").write_text(text)
    return tmp_path / "edged.toml"


def findings(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    run(doctor, "--config", file, "--json")
    return {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_doctor_of_a_working_configuration_finds_no_fault(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings(configured(tmp_path, mosquitto.port, tmp_path / "image.png"), capsys)
    assert found["camera barn"]["message"].startswith("64 x 48 px")
    assert found["publishing"]["ok"]
    assert all(found[check]["ok"] for check in ("configuration", "models load", "camera barn", "broker", "publishing"))


def test_doctor_without_camera_and_broker_fails_and_names_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path, free_port(), tmp_path / "absent.mp4")
    assert run(doctor, "--config", file) == 1
    printed = capsys.readouterr().out
    assert "✗ camera barn: " in printed
    assert "✗ broker: broker 127.0.0.1" in printed
    assert "    → start the broker" in printed


def test_doctor_detects_missing_publish_rights(
    new_mosquitto: NewMosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "acl").write_text("topic read #\n")
    broker = new_mosquitto("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    found = findings(configured(tmp_path, broker.port, tmp_path / "image.png"), capsys)
    assert found["broker"]["ok"]
    assert found["publishing"]["ok"] is False
    assert found["publishing"]["do"] == "give client box the right to write and to read edged/box/#"


def test_doctor_detects_missing_publish_rights_with_mqtt_3_too(
    new_mosquitto: NewMosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "acl").write_text("topic read #\n")
    broker = new_mosquitto("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    found = findings(configured(tmp_path, broker.port, tmp_path / "image.png", protocol="3.1.1"), capsys)
    assert found["publishing"]["ok"] is False
