#!/bin/sh
# paho-mqtt 2.2.0, MQTT 5: a QoS 1 message that was published by its topic alias, as the standard has it (empty topic,
# property TopicAlias), and that was under way when the connection ended, is sent again as it was. The broker of the new
# connection knows no alias (they end with the connection, MQTT 5, 3.3.2.3.4), and hangs up. So does each further
# connection, as the client keeps the message: it connects for ever, once a second, and nothing that is published later
# is ever sent. A topic beside the alias in every message saves from it, and saves no byte.
#
# Seen (mosquitto 2.0.11; 6 s after the connection was cut):
#   before: first, second arrived
#   connections that the broker ended: 3 or more
#   the message with the alias arrived: False; one published later, with its topic: False
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

alias = Properties(PacketTypes.PUBLISH)
alias.TopicAlias = 1
arrived, reasons, granted = [], [], threading.Event()


def new_client(name: str) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.on_message = lambda client, data, message: arrived.append(message.payload.decode())
    client.on_subscribe = lambda *_: granted.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


try:
    reader, box = new_client("reader"), new_client("box")
    reader.subscribe("states/#", qos=1)
    assert granted.wait(10)
    box.publish("states/box", "first", qos=1, properties=alias).wait_for_publish(10)
    box.publish("", "second", qos=1, properties=alias).wait_for_publish(10)
    time.sleep(0.5)
    print(f"before: {', '.join(arrived)} arrived")
    before = list(arrived)
    box.on_disconnect = lambda client, data, flags, reason, properties: reasons.append(str(reason))
    box.loop_stop()
    box.socket().shutdown(socket.SHUT_RDWR)
    box.publish("", "with the alias", qos=1, properties=alias)
    box.loop_start()
    time.sleep(3)
    box.publish("states/box", "later", qos=1)
    time.sleep(3)
    ended = "3 or more" if len(reasons) > 2 else len(reasons)
    there = [text in arrived for text in ("with the alias", "later")]
    print(f"connections that the broker ended: {ended}")
    print(f"the message with the alias arrived: {there[0]}; one published later, with its topic: {there[1]}")
    for client in (box, reader):
        client.disconnect()
        client.loop_stop()
finally:
    broker.kill()
    broker.wait()
assert before == ["first", "second"], before
assert ended == "3 or more", reasons
assert there == [False, False], there
PYTHON
