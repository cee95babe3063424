"""The program of the README counts the horses that lie, as a subscriber of a real broker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edged.messages.examples import example
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.waiting import LIMIT_S, until

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def program(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Path]:
    """The file that it writes to."""
    (text,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(text.splitlines()) <= 20
    here = text.replace('hostname="127.0.0.1"', f'hostname="127.0.0.1", port={broker.port}')
    output = tmp_path / "out"
    with output.open("w") as file, subprocess.Popen([sys.executable, "-c", here], stdout=file) as running:
        yield output
        running.kill()


def test_lying_horse_is_counted_while_its_device_is_online(broker: EmbeddedBroker, program: Path) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def publish(topic: str, name: str, **changes: object) -> None:
        body = json.dumps({**example(name), **changes}) if name else ""
        client.publish(f"edged/barn-east/{topic}", body, qos=1, retain=True).wait_for_publish(LIMIT_S)

    def counted(text: str) -> None:
        until(lambda: program.read_text().splitlines()[-1:] == [text])

    publish("cam/stall-1/state", "state")
    publish("status", "status")
    counted("1 of 1 lying")
    publish("cam/stall-1/state", "state", view="lost", counts=None, stall=None)
    counted("0 of 0 lying")
    publish("cam/stall-1/state", "state", stall={**example("state")["stall"], "posture": "standing"})
    counted("0 of 1 lying")
    publish("cam/stall-1/state", "state")
    counted("1 of 1 lying")
    publish("status", "status", state="offline")
    counted("0 of 0 lying")
    publish("status", "status")
    counted("1 of 1 lying")
    publish("cam/stall-1/state", "")
    counted("0 of 0 lying")
    client.loop_stop()
