#!/bin/sh
# aiomqtt 2.5.1, MQTT 5: `await client.publish(..., qos=1)` returns when the broker has acknowledged the message, and raises an
# MqttError where it cannot be delivered. The acknowledgement of MQTT 5 has a reason, and a broker that refuses the message
# says so in it (0x87, not authorized; others: quota exceeded, payload format invalid). aiomqtt does not look at it: what was
# refused counts as delivered, and there is no way to learn of it. paho-mqtt 2.2.0, on which it is built, tells the reason
# in on_publish, of QoS 1; of QoS 2 (where it is in PUBREC) it says "Success" too. Who deletes from a queue what was delivered
# loses it.
#
# Seen (mosquitto as installed, which lets nobody write to closed/; QoS, answer of publish(), what paho is told, what arrived):
#   open/state: 1, None, Success, yes
#   closed/state: 1, None, Not authorized, no
#   closed/state: 2, None, Success, no
set -eu
PATH="$PATH:/usr/sbin"
case $(mosquitto -h 2>&1 | head -n 1) in
*"version 2."*) ;;
*)
    echo "needs mosquitto 2: on Debian 12, apt-get install mosquitto" >&2
    exit 2
    ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder" # the broker gives up root
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiomqtt==2.5.1 paho-mqtt==2.2.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiomqtt
import paho.mqtt.client as mqtt

folder = Path(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(folder / "acl").write_text("topic readwrite open/#\ntopic read closed/#\n")
(folder / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {folder}/acl\n")
broker = subprocess.Popen(["mosquitto", "-c", f"{folder}/conf"], stderr=subprocess.DEVNULL)
while broker.poll() is None:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)
else:
    raise SystemExit("mosquitto ended at its start")


def told(topic: str, qos: int) -> str:
    """The reason that paho is given for the same message."""
    reasons, ready = [], threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = lambda *_: ready.set()
    client.on_publish = lambda client, data, mid, reason, properties: reasons.append(str(reason))
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(10)
    client.subscribe("open/#")
    client.publish(topic, "paho", qos=qos).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    return reasons[0]


async def sent(topic: str, qos: int) -> tuple[object, str]:
    """The answer of publish(), and whether the message arrived before one that was sent after it."""
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("open/#", qos=2)
        await client.subscribe("closed/#", qos=2)
        answer = await client.publish(topic, "aiomqtt", qos=qos)
        await client.publish("open/end", "end", qos=qos)
        async for message in client.messages:
            return answer, "no" if str(message.topic) == "open/end" else "yes"
    raise AssertionError


try:
    for topic, qos, expected in (
        ("open/state", 1, (None, "Success", "yes")),
        ("closed/state", 1, (None, "Not authorized", "no")),
        ("closed/state", 2, (None, "Success", "no")),
    ):
        answer, arrived = asyncio.run(sent(topic, qos))
        seen = answer, told(topic, qos), arrived
        print(f"{topic}: {qos}, {seen[0]}, {seen[1]}, {seen[2]}")
        assert seen == expected, expected
finally:
    broker.kill()
    broker.wait()
PYTHON
