#!/bin/sh
# paho-mqtt 2.2.0, MQTT 5: what is published while the broker is away waits in the client, and its Message Expiry Interval
# with it: it is not counted down there, and it is sent with the whole of it. A command that was good for 2 s comes after
# 4 s, as one that is good for 2 s more; the broker and the reader have no means to tell. And what on_connect publishes
# ("online", usually) overtakes all that waits, which was published before it: the callback runs before the queue is sent.
#
# Seen (mosquitto 2.0.11 away for 4 s; message and expiry as they arrived):
#   online None
#   open the gate 2
#   later None
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
(Path(sys.argv[1]) / "conf").write_text(
    f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {sys.argv[1]}/\nuser root\n"
)


def started() -> subprocess.Popen:
    broker = subprocess.Popen(["mosquitto", "-c", f"{sys.argv[1]}/conf"], stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return broker
        except OSError:
            time.sleep(0.05)


def properties(kind: int, **values: int) -> Properties:
    made = Properties(kind)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def connect(client: mqtt.Client, expiry_s: int = 0) -> None:
    there = threading.Event()
    client.on_connect = lambda *_: there.set()
    wanted = properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s)
    client.connect("127.0.0.1", port, clean_start=False, properties=wanted)
    client.loop_start()
    assert there.wait(10)


def made(name: str, delay_s: int) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
    client.reconnect_delay_set(delay_s, delay_s)
    return client


broker = started()
try:
    seen, granted, back = [], threading.Event(), threading.Event()
    reader, panel = made("reader", 1), made("panel", 3)  # the reader is back first: nothing waits at the broker
    reader.on_message = lambda client, data, message: seen.append(
        (message.payload.decode(), getattr(message.properties, "MessageExpiryInterval", None))
    )
    reader.on_subscribe = lambda *_: granted.set()
    connect(reader, expiry_s=60)
    reader.subscribe("gate", qos=1)
    assert granted.wait(10)
    connect(panel)
    broker.terminate()
    broker.wait()
    while panel.is_connected():
        time.sleep(0.05)
    panel.on_connect = lambda client, *_: (client.publish("gate", "online", qos=1), back.set())
    panel.publish("gate", "open the gate", 1, properties=properties(PacketTypes.PUBLISH, MessageExpiryInterval=2))
    panel.publish("gate", "later", qos=1)
    time.sleep(4)
    broker = started()
    assert back.wait(20)
    end_s = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < end_s:
        time.sleep(0.1)
finally:
    broker.kill()
    broker.wait()
for text, expiry_s in seen:
    print(text, expiry_s)
assert [text for text, _ in seen] == ["online", "open the gate", "later"], seen
assert [expiry_s for _, expiry_s in seen] == [None, 2, None], seen
PYTHON
