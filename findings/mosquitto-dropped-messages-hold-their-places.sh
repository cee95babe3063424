#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: a message of QoS 1 that the broker itself drops, as it is larger than the subscriber
# said that it takes (Maximum Packet Size), or has expired (Message Expiry Interval), goes on holding one of the 20 places
# for messages under way. After 20 too large pictures a reader of small messages gets nothing of QoS 1 until it
# connects anew, while QoS 0 and pings pass. And who comes back to a queue of expired messages does not get the valid
# ones behind them: each return clears 20, and what is published then overtakes what waits.
#
# Seen (messages of QoS 1 that came):
#   small after 19 too large: small; connected anew: nothing
#   small after 20 too large: nothing; connected anew: small
#   valid behind 19 expired, at the first to eighth return: valid - - - - - - -
#   valid behind 90 expired, at the first to eighth return: - - - - valid - - -
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


def client(name: str, clean: bool = True, largest: int = 100_000) -> mqtt.Client:
    """Connected, with a session that is kept; what it gets lies in `got`."""
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval, kept.MaximumPacketSize = 600, largest
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


def subscribe(one: mqtt.Client, topic: str) -> None:
    one.subscribe(topic, qos=1)
    one.granted.get(timeout=10)


seen = {}
try:
    box = client("box")
    for count in (19, 20):
        topic = f"large/{count}"
        reader = client(topic, largest=1000)
        subscribe(reader, topic)
        for text in ["large" * 1000] * count + ["small"]:
            box.publish(topic, text, qos=1).wait_for_publish(10)
        name = f"small after {count} too large"
        seen[name] = [told(reader), told(client(topic, clean=False, largest=1000))]
        print(f"{name}: {seen[name][0] or 'nothing'}; connected anew: {seen[name][1] or 'nothing'}")
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
        name = f"valid behind {count} expired"
        seen[name] = [told(client(topic, clean=False)) for _ in range(8)]
        print(f"{name}, at the first to eighth return:", *(text or "-" for text in seen[name]))
    leave(box)
finally:
    broker.kill()
    broker.wait()
late = [""] * 8
late[4] = "valid"
assert list(seen.values()) == [["small", ""], ["", "small"], ["valid"] + [""] * 7, late], seen
PYTHON
