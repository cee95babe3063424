#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: who subscribes once more to the same filter gets the new QoS and the new Subscription
# Identifier, and keeps the old options, although the new subscription replaces the old one (3.8.4): No Local and Retain As
# Published are those of the first time. A session that is kept carries them over a restart, so that a new version of a
# program that says No Local goes on getting its own messages, and answers itself; only Unsubscribe, or a clean
# start, helps.
#
# Seen (session kept, back with other options; what the second SUBSCRIBE asked for, and what came then):
#   No Local off, then on: own message came, at QoS 1
#   No Local on, then off: own message did not come
#   Retain As Published off, then on: retained message came without RETAIN, at QoS 1
#   the same, with UNSUBSCRIBE between: retained message came with RETAIN, at QoS 1
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

from paho.mqtt.subscribeoptions import SubscribeOptions

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


def client(clean: bool = True) -> mqtt.Client:
    """Connected, with a session that is kept; what it gets lies in `got`, what is granted in `granted`."""
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval = 600
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="program", protocol=mqtt.MQTTv5)
    one.got, one.granted = queue.Queue(), queue.Queue()
    one.on_message = lambda one, data, message: one.got.put(message)
    one.on_subscribe = one.on_unsubscribe = lambda one, *rest: one.granted.put(rest)
    one.connect("127.0.0.1", port, clean_start=clean, properties=kept)
    one.loop_start()
    return one


def leave(one: mqtt.Client) -> None:
    one.disconnect()
    one.loop_stop()


def comes(first: dict, second: dict, between: bool = False) -> str:
    """Subscribes, comes back and subscribes anew, and publishes: how the message comes."""
    one = client()
    one.subscribe("topic", options=SubscribeOptions(qos=0, **first))
    one.granted.get(timeout=10)
    leave(one)
    one = client(clean=False)
    if between:
        one.unsubscribe("topic")
        one.granted.get(timeout=10)
    one.subscribe("topic", options=SubscribeOptions(qos=1, **second))
    one.granted.get(timeout=10)
    one.publish("topic", "x", qos=1, retain="retainAsPublished" in second).wait_for_publish(10)
    try:
        message = one.got.get(timeout=2)
        retained = f" with{'' if message.retain else 'out'} RETAIN" if "retainAsPublished" in second else ""
        text = f"came{retained}, at QoS {message.qos}"
    except queue.Empty:
        text = "did not come"
    one.publish("topic", "", qos=1, retain=True).wait_for_publish(10)
    leave(one)
    return text


def same(name: str, expected: str, told: str) -> None:
    print(f"{name}: {told}")
    assert told == expected, expected


try:
    off, on = {"noLocal": False}, {"noLocal": True}
    same("No Local off, then on", "own message came, at QoS 1", "own message " + comes(off, on))
    same("No Local on, then off", "own message did not come", "own message " + comes(on, off))
    off, on = {"retainAsPublished": False}, {"retainAsPublished": True}
    name, without = "Retain As Published off, then on", "retained message came without RETAIN, at QoS 1"
    same(name, without, "retained message " + comes(off, on))
    name, given = "the same, with UNSUBSCRIBE between", "retained message came with RETAIN, at QoS 1"
    same(name, given, "retained message " + comes(off, on, between=True))
finally:
    broker.kill()
    broker.wait()
PYTHON
