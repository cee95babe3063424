#!/bin/sh
# mosquitto 2.0.11 (Debian 12): workers share a subscription ($share/...) with persistent sessions, so that nothing is lost
# at a restart. While one of them is away, the broker goes on giving it its turn: every second message waits for the
# absent, though the other is connected and idle. It has them when it comes back, in its own time; if it never does
# (a worker that was taken away, or named anew), they are gone when its session expires.
#
# Seen (two workers, one away; 10 messages of QoS 1):
#   the worker that is there got 0 2 4 6 8
#   the other one, back: 1 3 5 7 9
set -eu
PATH="$PATH:/usr/sbin"
case $(mosquitto -h 2>&1 | head -n 1) in
*"version 2.0.11"*) ;;
*)
    echo "needs mosquitto 2.0.11: on Debian 12, apt-get install mosquitto" >&2
    exit 2
    ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(Path(sys.argv[1]) / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
broker = subprocess.Popen(["mosquitto", "-c", f"{sys.argv[1]}/conf"], stderr=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)

kept = Properties(PacketTypes.CONNECT)
kept.SessionExpiryInterval = 600


def worker(name: str, own: list[str], clean: bool) -> mqtt.Client:
    """Connected and subscribed, with what it gets in `own`."""
    granted = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.on_message = lambda client, data, message: own.append(message.payload.decode())
    client.on_subscribe = lambda *_: granted.set()
    client.connect("127.0.0.1", port, clean_start=clean, properties=kept)
    client.loop_start()
    client.subscribe("$share/workers/states/#", qos=1)
    assert granted.wait(10)
    return client


def leave(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


try:
    there, away = [], []
    first, second = worker("first", there, clean=True), worker("second", away, clean=True)
    leave(second)
    box = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="box")
    box.connect("127.0.0.1", port)
    box.loop_start()
    for number in range(10):
        box.publish("states/box", str(number), qos=1).wait_for_publish(10)
    time.sleep(3)
    print("the worker that is there got", *there)
    before = list(there)
    second = worker("second", away, clean=False)
    time.sleep(2)
    print("the other one, back:", *away)
    for client in (first, second, box):
        leave(client)
finally:
    broker.kill()
    broker.wait()
assert len(before) == len(away) == 5, (before, away)
assert sorted(before + away) == [str(number) for number in range(10)], (before, away)
PYTHON
