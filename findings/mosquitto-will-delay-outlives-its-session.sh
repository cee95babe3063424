#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: a will with a delay is due when the delay has passed or when its session ends,
# "whichever happens first" (3.1.2.5). Two ends of a session are not seen. With a Session Expiry of 0, the default, the
# session ends with the connection: the will comes only after the delay, here 6 s late. And if the device is back in time
# with clean start, as one that rebooted is, its old session has ended, and the will never comes. Where the session
# expires in between, the will is in time. So "offline" after a delay works here without a session, and
# nowhere else; and a reboot that is shorter than the delay leaves no trace.
#
# Seen (delay and expiry in seconds; when the will came after the connection was cut):
#   no delay, expiry 0: at once
#   delay 6, expiry 0: after the delay
#   delay 30, expiry 2: with the session
#   delay 4, expiry 60, back after 1 s with clean start: never
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


def connected(name: str, expiry_s: int = 0, delay_s: int | None = None) -> mqtt.Client:
    """A client that is connected with clean start; with a will if there is a delay."""
    client, there = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5), threading.Event()
    if delay_s is not None:
        will = Properties(PacketTypes.WILLMESSAGE)
        will.WillDelayInterval = delay_s
        client.will_set(f"will/{name}", "offline", qos=1, properties=will)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = expiry_s
    client.on_connect = lambda *_: there.set()
    client.connect("127.0.0.1", port, clean_start=True, properties=properties)
    client.loop_start()
    assert there.wait(10)
    return client


CASES = {
    "now": ("no delay, expiry 0", 0, 0),
    "ended": ("delay 6, expiry 0", 0, 6),
    "expired": ("delay 30, expiry 2", 2, 30),
    "back": ("delay 4, expiry 60, back after 1 s with clean start", 60, 4),
}
try:
    came, granted = {}, threading.Event()
    reader = connected("reader")
    reader.on_message = lambda client, data, message: came.setdefault(message.topic[5:], time.monotonic() - cut_s)
    reader.on_subscribe = lambda *_: granted.set()
    reader.subscribe("will/#", qos=1)
    assert granted.wait(10)
    boxes = [connected(name, expiry_s, delay_s) for name, (_, expiry_s, delay_s) in CASES.items()]
    cut_s = time.monotonic()
    for box in boxes:
        box.loop_stop()
        box.socket().shutdown(socket.SHUT_RDWR)
    time.sleep(1)
    back = connected("back", 60)
    time.sleep(12)
finally:
    broker.kill()
    broker.wait()


def when(name: str) -> str:
    if name not in came:
        return "never"
    _, expiry_s, delay_s = CASES[name]
    if came[name] < (expiry_s / 2 or 3):
        return "at once"
    return "with the session" if came[name] < delay_s - 0.5 else "after the delay"


seen = [when(name) for name in CASES]
for (text, _, _), result in zip(CASES.values(), seen):
    print(f"{text}: {result}")
assert seen == ["at once", "after the delay", "with the session", "never"], came
PYTHON
