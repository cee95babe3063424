"""A publisher is killed at random instants, again and again: what was on disk arrives, in order, with its id.

EDGED_CRASHES sets how many times; 300 take some minutes.
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.mqtt import Listener, Mosquitto
from tests.support.waiting import LIMIT_S, until

log = logging.getLogger(__name__)

CRASHES = int(os.environ.get("EDGED_CRASHES", "40"))
MAX_LIFE_S = 0.5  # long enough to start, connect, drain and publish
STRIDE = 1_000_000  # message numbers of one life

PUBLISHER = """
import os, random, signal, sys, time
from functools import partial
from pathlib import Path
from edged.messages import build, topics
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from edged.config.tables.mqtt import MqttConfig, PublishConfig

def new_bus(headers):
    broker, make_status = MqttConfig(port=int(sys.argv[1])), partial(build.device_status, headers)
    return MqttBus(broker, "box", make_status, PublishConfig(), Path(sys.argv[2]))

def live(number):
    random.seed()
    headers = build.HeaderFactory(Clock())
    bus = new_bus(headers)
    while True:
        topic = random.choice((topics.ALERT, topics.STATE)).at(camera="a")
        bus.publish(topic, {**headers(topic), "id": build.new_id(), "n": number})
        if random.random() < 0.5:
            while bus.stats["stored"]["unwritten"]:
                time.sleep(0.0005)
            os.write(1, b"written %d\\n" % number)
        number += 1
        time.sleep(random.choice((0, 0, 0.001, 0.01)))

def empty():
    bus = new_bus(build.HeaderFactory(Clock()))
    while not bus.connected or bus.counts.waiting:
        time.sleep(0.05)
    os.write(1, b"corrupt %d\\n" % bus.stats["stored"]["corrupt_files"])
    bus.close()

for line in sys.stdin:
    first, seconds = line.split()
    child = os.fork()
    if child == 0:
        live(int(first)) if float(seconds) else empty()
        os._exit(0)
    if float(seconds):
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.write(1, b"dead 0\\n")
"""


class CrashRunner:
    """Runs a publisher again and again on the same store."""

    def __init__(self, port: int, store: Path) -> None:
        command = (sys.executable, "-c", PUBLISHER, str(port), str(store))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def live(self, first: int, seconds: float) -> list[tuple[str, int]]:
        """What one life printed. It is killed after `seconds`; 0: it publishes nothing and ends with an empty store."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {seconds}\n")
        printed = []
        for line in self._process.stdout:
            word, number = line.split()
            if word == "dead":
                break
            printed.append((word, int(number)))
        return printed

    def close(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=LIMIT_S)


@pytest.fixture
def runner(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[CrashRunner]:
    runner = CrashRunner(mosquitto.port, tmp_path / "outbox.db")
    yield runner
    runner.close()


def test_written_messages_survive_every_crash(
    mosquitto: Mosquitto, runner: CrashRunner, listen: Callable[..., Listener]
) -> None:
    reader = listen(mosquitto.port, "edged/box/cam/#")
    written: set[int] = set()
    lives = count()
    while (life := next(lives)) < CRASHES or len(written) <= CRASHES:  # on a slow machine many die before they write
        assert life < 10 * CRASHES, "hardly anything was written"
        printed = runner.live(life * STRIDE, random.uniform(0.001, MAX_LIFE_S))
        written.update(number for _, number in printed)
    assert runner.live(0, 0) == [("corrupt", 0)]
    until(lambda: {number for number, _ in arrived(reader)} >= written)
    pairs = set(arrived(reader))
    assert len({number for number, _ in pairs}) == len({name for _, name in pairs}) == len(pairs)
    first = list(dict.fromkeys(number for number, _ in arrived(reader)))
    assert first == sorted(first)
    doubles = len(arrived(reader)) - len(pairs)
    log.info("%d crashes, %d known written, %d arrived, %d twice", life, len(written), len(pairs), doubles)


def arrived(reader: Listener) -> list[tuple[int, str]]:
    """Number and id of everything, as it came."""
    bodies = [json.loads(message.payload) for message in list(reader.messages)]
    return [(body["n"], body["id"]) for body in bodies]
