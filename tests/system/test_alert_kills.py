"""A monitor is killed at random instants while its alerts open and close: none is lost, doubled or left open.

EDGED_CRASHES sets how many times; 500 take some minutes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.support.mqtt import Listener, Mosquitto
from tests.support.waiting import LIMIT_S, until

CRASHES = int(os.environ.get("EDGED_CRASHES", "15"))
LIFE_S = (0.2, 1.2)  # at random within; a start takes a part of it
ALERTS = "edged/box/cam/stall/alert"

# A camera that is lost and online by turns, by one clock for all lives, observed twenty times a second.
# The last life is online and ends once everything has been delivered.
MONITOR = """
import sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
from edged.behaviour.alert_rules import CAMERA_RULES
from edged.behaviour.alerts import AlertMonitors
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import SceneMonitor
from edged.capture.camera import CameraState
from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from tests.support.scene import CLEAR, detected, monitored

port, state, crashes = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
RULES = tuple(replace(rule, open_after_s=0.1, close_after_s=0.1) for rule in CAMERA_RULES[:1])
AlertMonitors.__init__.__defaults__ = (RULES,)

def live(last):
    headers = build.HeaderFactory(Clock())
    make_status = partial(build.device_status, headers)
    bus = MqttBus(MqttConfig(port=port), "box", make_status, PublishConfig(), state / "outbox.db")
    readings = {}
    scenes = SceneMonitor(bus, headers, lambda: readings, monitored({"stall": ("horse",)}),
                          stalls=StallMonitors({}, 0.3, state), state_file=state / "days.json")
    end_s = time.monotonic() + 2
    while not last or time.monotonic() < end_s or bus.counts.waiting:
        now_ns = time.monotonic_ns()
        lost = not last and now_ns // 700_000_000 % 2 == 0
        phase = CameraState(camera="stall", phase="lost" if lost else "online", reason="cut", since_ns=0)
        readings["stall"] = (phase, None if lost else detected(now_ns, CLEAR, "horse"))
        scenes.poll(now_ns)
        time.sleep(0.05)
    bus.close()

import os, signal
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(float(line) == 0)
        os._exit(0)
    if float(line):
        time.sleep(float(line))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def test_alerts_survive_every_kill_with_one_id_each(
    mosquitto: Mosquitto, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    reader = listen(mosquitto.port, ALERTS)
    command = (sys.executable, "-c", MONITOR, str(mosquitto.port), str(tmp_path), str(CRASHES))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for life in range(CRASHES + 1):
            process.stdin.write(f"{random.uniform(*LIFE_S) if life < CRASHES else 0}\n")
            process.stdout.readline()
        process.stdin.close()
        process.wait(LIMIT_S)
    until(lambda: reader.bodies(ALERTS)[-1]["stage"] == "closed")
    stages: dict[str, list[str]] = defaultdict(list)
    for alert in {body["id"]: body for body in reader.bodies(ALERTS)}.values():  # a repetition has the same id
        stages[alert["alert_id"]].append(alert["stage"])
    assert len(stages) > CRASHES // 20
    assert {tuple(each) for each in stages.values()} == {("open", "closed")}
    repeated = len(reader.bodies(ALERTS)) - 2 * len(stages)
    assert repeated <= max(2, CRASHES // 20), f"{repeated} of {2 * len(stages)} messages came twice"
