#!/bin/sh
# mosquitto 2.0.11 (Debian 12) with persistence, MQTT 5: a session that began with Clean Start and has an expiry, which is how
# a program asks for "forget what was, keep it from now on", is kept while the broker runs, and is not written to
# its database: after a restart of the broker (an update, a reboot) session, subscription and all messages that waited are
# gone. Once the same client has come back without Clean Start its session is written. Each test that
# leaves the broker running passes.
#
# Seen (away while one message of QoS 1 is published, expiry 600 s; session present, messages):
#   began clean, broker runs on: True, 1
#   began clean, broker restarted: False, 0
#   began clean, came back once, broker restarted: True, 1
#   began without Clean Start, broker restarted: True, 1
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
import queue
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
folder = Path(sys.argv[1])
store = folder / "store"
store.mkdir()
for path in (folder, store):
    path.chmod(0o777)  # as root, mosquitto goes on as another user
(folder / "conf").write_text(
    f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {store}/\n"
)


def start() -> subprocess.Popen:
    broker = subprocess.Popen(["mosquitto", "-c", f"{folder}/conf"], stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return broker
        except OSError:
            time.sleep(0.05)


def client(name: str, clean: bool) -> mqtt.Client:
    """Connected, with a session of 600 s; what it gets lies in `got`, whether it had a session in `present`."""
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval = 600
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    one.got, one.granted, one.present = queue.Queue(), queue.Queue(), queue.Queue()
    one.on_message = lambda one, data, message: one.got.put(message)
    one.on_subscribe = lambda one, *rest: one.granted.put(rest)
    one.on_connect = lambda one, data, flags, *rest: one.present.put(flags.session_present)
    one.connect("127.0.0.1", port, clean_start=clean, properties=kept)
    one.loop_start()
    return one


def leave(one: mqtt.Client) -> None:
    one.disconnect()
    one.loop_stop()


broker = start()
seen = []
try:
    for name, clean, back, restart in (
        ("began clean, broker runs on", True, False, False),
        ("began clean, broker restarted", True, False, True),
        ("began clean, came back once, broker restarted", True, True, True),
        ("began without Clean Start, broker restarted", False, False, True),
    ):
        one = client(name, clean)
        one.subscribe("topic", qos=1)
        one.granted.get(timeout=10)
        leave(one)
        if back:
            one = client(name, clean=False)
            one.present.get(timeout=10)
            leave(one)
        box = client("box", clean=True)
        box.publish("topic", "x", qos=1).wait_for_publish(10)
        leave(box)
        if restart:
            broker.terminate()
            broker.wait()
            broker = start()
        one = client(name, clean=False)
        present = one.present.get(timeout=10)
        time.sleep(1)
        one.unsubscribe("topic")
        seen.append((present, one.got.qsize()))
        leave(one)
        print(f"{name}: {present}, {seen[-1][1]}")
finally:
    broker.kill()
    broker.wait()
assert seen == [(True, 1), (False, 0), (True, 1), (True, 1)], seen
PYTHON
