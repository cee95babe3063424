#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: messages of QoS 1 that have expired (Message Expiry Interval) in the queue of who is away
# are not sent, and yet hold the 20 places for messages under way. Who comes back does not get the valid ones behind
# them, though it stays and waits: each return clears 20. So readings that expire, which is to spare a reader after an
# outage, keep the alert behind them away from it, for more returns the longer the outage was. Messages that are larger
# than a reader takes (Maximum Packet Size) are left out, as MQTT 5 asks, and hold the places of one that is connected
# until it comes again. A subscription with QoS 0 has no places.
#
# Seen (a valid message of QoS 1, at the first to eighth return; behind large ones to who is there):
#   behind 19 expired: valid - - - - - - -
#   behind 90 expired: - - - - valid - - -
#   behind 19 too large: valid
#   behind 20 too large: -
#   behind 20 too large, subscribed with QoS 0: valid
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


def client(name: str, clean: bool = True, max_packet_bytes: int = 100_000) -> mqtt.Client:
    """Connected, with a session that is kept; what it gets lies in `got`."""
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval, kept.MaximumPacketSize = 600, max_packet_bytes
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    one.got, one.granted = queue.Queue(), queue.Queue()
    one.on_message = lambda one, data, message: one.got.put(message.payload[:5].decode())
    one.on_subscribe = lambda one, *rest: one.granted.put(rest)
    one.connect("127.0.0.1", port, clean_start=clean, properties=kept)
    one.loop_start()
    return one


def told(one: mqtt.Client) -> str:
    """What came within 1.5 s, and leaves."""
    time.sleep(1.5)
    leave(one)
    return " ".join(one.got.queue)


def leave(one: mqtt.Client) -> None:
    one.disconnect()
    one.loop_stop()


def subscribe(one: mqtt.Client, topic: str, qos: int = 1) -> None:
    one.subscribe(topic, qos=qos)
    one.granted.get(timeout=10)


seen = {}
try:
    box = client("box")
    short = Properties(PacketTypes.PUBLISH)
    short.MessageExpiryInterval = 1
    for count in (19, 90):
        topic = f"expired/{count}"
        reader = client(topic)
        subscribe(reader, topic)
        leave(reader)
        for _ in range(count):
            box.publish(topic, "old", qos=1, properties=short).wait_for_publish(10)
        time.sleep(2.5)
        box.publish(topic, "valid", qos=1).wait_for_publish(10)
        seen[count] = [told(client(topic, clean=False)) for _ in range(8)]
        print(f"behind {count} expired:", *(text or "-" for text in seen[count]))
    for what, count, qos in (
        ("19 too large", 19, 1),
        ("20 too large", 20, 1),
        ("20 too large, subscribed with QoS 0", 20, 0),
    ):
        reader = client(what, max_packet_bytes=1000)
        subscribe(reader, what, qos)
        for _ in range(count):
            box.publish(what, 2000 * "x", qos=1).wait_for_publish(10)
        box.publish(what, "valid", qos=1).wait_for_publish(10)
        seen[what] = told(reader)
        print(f"behind {what}: {seen[what] or '-'}")
    leave(box)
finally:
    broker.kill()
    broker.wait()
late = [""] * 8
late[4] = "valid"
large = {"19 too large": "valid", "20 too large": "", "20 too large, subscribed with QoS 0": "valid"}
assert seen == {19: ["valid"] + [""] * 7, 90: late, **large}, seen
PYTHON
