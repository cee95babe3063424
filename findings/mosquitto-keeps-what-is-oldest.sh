#!/bin/sh
# mosquitto 2.0.11 (Debian 12): a client with a persistent session is away, and more than max_queued_messages (1000) are
# published for it. The broker keeps the oldest and drops what is newest, so a screen that was off overnight gets the
# evening and never the morning, however often it comes back; and each publisher is told success for every message that
# is thrown away (MQTT 5, PUBACK reason 0). Only the broker's log tells, once.
#
# Seen (1500 messages of QoS 1 for a client that is away):
#   acknowledged with reason Success: 1500
#   received when it is back: 1000, from 0 to 999
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

COUNT = 1500
kept = Properties(PacketTypes.CONNECT)
kept.SessionExpiryInterval = 600
reasons, received, granted = [], [], threading.Event()


def connected(name: str, clean: bool, **callbacks) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    for event, callback in callbacks.items():
        setattr(client, event, callback)
    client.connect("127.0.0.1", port, clean_start=clean, properties=kept)
    client.loop_start()
    return client


def leave(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def wait_for(met) -> None:
    end_s = time.monotonic() + 30
    while not met() and time.monotonic() < end_s:
        time.sleep(0.1)


try:
    screen = connected("screen", True, on_subscribe=lambda *_: granted.set())
    screen.subscribe("states/#", qos=1)
    assert granted.wait(10)
    leave(screen)
    box = connected("box", True, on_publish=lambda client, data, number, reason, properties: reasons.append(str(reason)))
    for number in range(COUNT):
        box.publish("states/box", str(number), qos=1)
    wait_for(lambda: len(reasons) == COUNT)
    print(f"acknowledged with reason Success: {reasons.count('Success')}")
    take = lambda client, data, message: received.append(int(message.payload))  # noqa: E731
    screen = connected("screen", False, on_message=take)
    wait_for(lambda: len(received) >= 1000)
    time.sleep(1)
    print(f"received when it is back: {len(received)}, from {received[0]} to {received[-1]}")
    leave(screen)
    leave(box)
finally:
    broker.kill()
    broker.wait()
assert reasons.count("Success") == COUNT, len(reasons)
assert received == list(range(1000)), (len(received), received[:3], received[-3:])
PYTHON
