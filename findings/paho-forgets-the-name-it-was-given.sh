#!/bin/sh
# paho-mqtt 2.2.0, MQTT 5, no client id: the broker makes one up and tells it (Assigned Client Identifier), so that the
# client can come back to its session. paho does not take it over: at each reconnect it sends an empty name again, gets
# another one, and so another session, although clean_start=False and an expiry of 600 s were asked for. What was
# published meanwhile is not there, the subscription is gone, and the sessions before stay in the broker and collect
# messages until they expire.
#
# Seen (mosquitto 2.0.11; the connection is cut once, and a message of QoS 1 published meanwhile):
#   session present at the reconnect: False; same name: False; messages: 0
#   with a name of its own: session present True; messages: 1
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


def wait_for(met) -> None:
    end_s = time.monotonic() + 10
    while not met() and time.monotonic() < end_s:
        time.sleep(0.05)


def cut_once(name: str, box: mqtt.Client) -> tuple[list[bool], list[str], int]:
    """Sessions present and names given, at each connection; messages that arrived."""
    present, names, arrived, granted = [], [], [], threading.Event()

    def on_connect(client, data, flags, reason, properties) -> None:
        present.append(flags.session_present)
        names.append(getattr(properties, "AssignedClientIdentifier", name))

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.on_connect, client.on_subscribe = on_connect, lambda *_: granted.set()
    client.on_message = lambda client, data, message: arrived.append(message.payload)
    client.connect("127.0.0.1", port, clean_start=False, properties=kept)
    client.loop_start()
    client.subscribe("states", qos=1)
    assert granted.wait(10)
    client.loop_stop()
    client.socket().shutdown(socket.SHUT_RDWR)
    time.sleep(0.5)
    box.publish("states", "1", qos=1).wait_for_publish(10)
    client.loop_start()
    wait_for(lambda: len(present) > 1)
    time.sleep(1)
    client.disconnect()
    client.loop_stop()
    return present, names, len(arrived)


try:
    box = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="box")
    box.connect("127.0.0.1", port)
    box.loop_start()
    present, names, count = cut_once("", box)
    same = names[0] == names[1]
    print(f"session present at the reconnect: {present[1]}; same name: {same}; messages: {count}")
    own = cut_once("reader", box)
    print(f"with a name of its own: session present {own[0][1]}; messages: {own[2]}")
    box.disconnect()
    box.loop_stop()
finally:
    broker.kill()
    broker.wait()
assert (present[1], same, count) == (False, False, 0), (present, names, count)
assert (own[0][1], own[2]) == (True, 1), own
PYTHON
