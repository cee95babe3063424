#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: a message of QoS 1 that is larger than its reader takes (CONNECT, Maximum Packet Size)
# is left out, as MQTT 5 asks (3.1.2.11.4), and yet holds one of the 20 places for messages under way. After 20 of them
# the reader, which stays connected and answers pings, gets nothing more of QoS 1 until it connects again: whoever may
# write to a device's topic of commands takes them from it, and nobody is told. A subscription with QoS 0 has no places.
#
# Seen (messages of 2000 bytes to a reader of 1000, all of QoS 1, then three of 5 bytes; what arrived):
#   subscribed with QoS 1, 19 large ones: small small small
#   subscribed with QoS 1, 20 large ones: -
#   the same after connecting again: small small small
#   subscribed with QoS 0, 20 large ones: small small small
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
(Path(sys.argv[1]) / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
broker = subprocess.Popen(["mosquitto", "-c", f"{sys.argv[1]}/conf"], stderr=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)


def client(name: str, max_packet_bytes: int) -> mqtt.Client:
    """Connected; what it gets lies in `got`."""
    limit = Properties(PacketTypes.CONNECT)
    limit.MaximumPacketSize = max_packet_bytes
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    one.got, one.granted = queue.Queue(), queue.Queue()
    one.on_message = lambda one, data, message: one.got.put(message.payload.decode())
    one.on_subscribe = lambda one, *rest: one.granted.put(rest)
    one.connect("127.0.0.1", port, properties=limit)
    one.loop_start()
    return one


def subscribed(name: str, qos: int) -> mqtt.Client:
    one = client(name, 1000)
    one.subscribe(name, qos=qos)
    one.granted.get(timeout=10)
    return one


def publish(topic: str, payload: str, count: int) -> None:
    for _ in range(count):
        sender.publish(topic, payload, qos=1).wait_for_publish(10)


def arrived(one: mqtt.Client) -> str:
    """What came within 2 s of three small messages."""
    publish(one._client_id.decode(), "small", 3)
    time.sleep(2)
    return " ".join(one.got.queue) or "-"


def leave(one: mqtt.Client) -> None:
    one.disconnect()
    one.loop_stop()


seen = {}
try:
    sender = client("sender", 100_000)
    for name, qos, count in (("a", 1, 19), ("b", 1, 20), ("c", 0, 20)):
        reader = subscribed(name, qos)
        publish(name, 2000 * "x", count)
        seen[f"subscribed with QoS {qos}, {count} large ones"] = arrived(reader)
        leave(reader)
        if name == "b":
            again = subscribed(name, qos)
            seen["the same after connecting again"] = arrived(again)
            leave(again)
    leave(sender)
    for case, text in seen.items():
        print(f"{case}: {text}")
finally:
    broker.kill()
    broker.wait()
all_three = "small small small"
assert list(seen.values()) == [all_three, "-", all_three, all_three], seen
PYTHON
