#!/bin/sh
# paho-mqtt 2.2.0: message_callback_add("$share/workers/jobs/#", ...), with the very text that was subscribed, is never
# called: the filter is compared with the topic as it is, and no topic begins with $share. Messages of QoS 1 are
# acknowledged nevertheless, so that the broker hands each of them to nobody, without a word, unless there is an on_message.
# The callback has to be added for "jobs/#". aiomqtt 2.5.1 takes "$share/..." off in Topic.matches(), but lets "#" and
# "+/..." match what begins with $, which MQTT (4.7.2) excludes.
#
# Seen (mosquitto 2.0.11; 5 messages of QoS 1 to jobs/a, subscribed as $share/workers/jobs/#):
#   paho, callback of $share/workers/jobs/#: called 0 times; then connected again: 0 messages waited
#   paho, callback of jobs/#: called 5 times
#   aiomqtt, jobs/a matches $share/workers/jobs/#: True; $SYS/load matches +/load: True (paho: False)
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
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0 aiomqtt==2.5.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiomqtt
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SHARED = "$share/workers/jobs/#"
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


def worker(name: str) -> tuple[mqtt.Client, threading.Event, threading.Event]:
    """A connected client whose session is kept, and events of its connection and subscription."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
    there, granted = threading.Event(), threading.Event()
    client.on_connect, client.on_subscribe = lambda *_: there.set(), lambda *_: granted.set()
    return client, there, granted


def connect(client: mqtt.Client, there: threading.Event) -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    client.loop_start()
    assert there.wait(10)


def called(pattern: str, name: str) -> int:
    """How often the callback of the pattern was called for 5 messages."""
    calls = []
    client, there, granted = worker(name)
    client.message_callback_add(pattern, lambda *_: calls.append(1))
    connect(client, there)
    client.subscribe(SHARED, qos=1)
    assert granted.wait(10)
    publisher, there, _ = worker(f"publisher of {name}")
    connect(publisher, there)
    for number in range(5):
        publisher.publish("jobs/a", str(number), qos=1).wait_for_publish(10)
    time.sleep(1)
    publisher.disconnect()
    client.disconnect()
    client.loop_stop()
    return len(calls)


def waited(name: str) -> int:
    """How many messages the session of the worker still holds."""
    messages = []
    client, there, granted = worker(name)
    client.on_message = lambda client, data, message: messages.append(message)
    connect(client, there)
    time.sleep(1)
    client.unsubscribe(SHARED)
    client.disconnect()
    client.loop_stop()
    return len(messages)


try:
    seen = [called(SHARED, "one"), waited("one"), called("jobs/#", "two")]
finally:
    broker.kill()
    broker.wait()
print(f"paho, callback of {SHARED}: called {seen[0]} times; then connected again: {seen[1]} messages waited")
print(f"paho, callback of jobs/#: called {seen[2]} times")
matches = aiomqtt.Topic("jobs/a").matches(SHARED), aiomqtt.Topic("$SYS/load").matches("+/load")
by_paho = mqtt.topic_matches_sub("+/load", "$SYS/load")
print(f"aiomqtt, jobs/a matches {SHARED}: {matches[0]}; $SYS/load matches +/load: {matches[1]} (paho: {by_paho})")
assert seen == [0, 0, 5], seen
assert (matches, by_paho) == ((True, True), False), (matches, by_paho)
PYTHON
