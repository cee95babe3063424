#!/bin/sh
# gmqtt 0.8.0 and mosquitto 2 as installed: publish() at QoS 1 raises OverflowError at the 20th message that is not
# acknowledged yet. Packet numbers are given out below the broker's Receive Maximum, of which mosquitto tells 20 (its
# max_inflight_messages), and what has no number is neither queued nor waited for. publish() does not wait either, so a
# loop over 100 readings without an await between them ends at the 20th; with MQTT 3.1.1 (no Receive Maximum) all leave.
#
# Seen (mosquitto 2.0.11; 100 publish() in a row, each tried once):
#   MQTT 5: 19 accepted, then OverflowError; arrived 19
#   MQTT 3.1.1: 100 accepted; arrived 100
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
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gmqtt==0.8.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

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

async def publish(name: str, version: int) -> tuple[int, str, int]:
    """How many of 100 were accepted, the first error, and how many arrived."""
    arrived, granted = [], asyncio.Event()
    reader, box = gmqtt.Client(f"reader{version}"), gmqtt.Client(f"box{version}")
    reader.on_message = lambda client, topic, payload, qos, properties: arrived.append(payload)
    reader.on_subscribe = lambda *_: granted.set()
    for client in (reader, box):
        await client.connect("127.0.0.1", port, version=version)
    reader.subscribe(f"{version}/states", qos=1)
    await asyncio.wait_for(granted.wait(), 10)
    accepted, error = 0, ""
    for number in range(100):
        try:
            box.publish(f"{version}/states", str(number), qos=1)
            accepted += 1
        except OverflowError as exc:
            error = error or type(exc).__name__
    await asyncio.sleep(2)
    for client in (box, reader):
        await client.disconnect()
    print(f"{name}: {accepted} accepted{f', then {error}' if error else ''}; arrived {len(arrived)}")
    return accepted, error, len(arrived)


async def main() -> None:
    assert await publish("MQTT 5", MQTTv50) == (19, "OverflowError", 19)
    assert await publish("MQTT 3.1.1", MQTTv311) == (100, "", 100)


try:
    asyncio.run(main())
finally:
    broker.kill()
    broker.wait()
PYTHON
