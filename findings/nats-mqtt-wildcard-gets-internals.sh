#!/bin/sh
# nats-server 2.9.10 (Debian 12) as an MQTT broker: a subscription of `#` also gets what begins with `$`, which MQTT
# 3.1.1 forbids (4.7.2): the server's own requests about streams, the sessions of other clients, and with each message
# of QoS 1 one for its acknowledgement. Who counts or archives everything by `#` gets several messages for each one of
# the site, and JSON parsers get what is none. mosquitto gives none of them. `+/#` is no way out, it gets them too.
#
# Seen (5 messages of QoS 1 to a/b, subscribed at QoS 1):
#   #: 5 of a/b; others: yes, among them $JS/ACK: True, $MQTT/sess: True
#   +/#: 5 of a/b; others: yes, among them $JS/ACK: True, $MQTT/sess: True
#   a/#: 5 of a/b; others: no
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq nats-server=2.9.10-1+b3 && dpkg -x nats-server_*.deb .) || {
    echo "needs nats-server 2.9.10 of Debian 12 (apt-get update)" >&2
    exit 2
}
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

top = Path(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
    port, other = one.getsockname()[1], two.getsockname()[1]
(top / "conf").write_text(
    f'server_name: broker\nlisten: 127.0.0.1:{other}\njetstream {{ store_dir: "{top}/store" }}\n'
    f"mqtt {{ listen: 127.0.0.1:{port} }}\n"
)
server = next(path for path in (top / "usr/sbin/nats-server", top / "usr/bin/nats-server") if path.exists())
broker = subprocess.Popen([server, "-c", top / "conf"], stderr=subprocess.DEVNULL)


def connected(name: str) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


seen = {}
try:
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    publisher, topics = connected("publisher"), {pattern: [] for pattern in ("#", "+/#", "a/#")}
    for number, (pattern, own) in enumerate(topics.items()):
        granted = threading.Event()
        reader = connected(f"reader{number}")
        reader.on_message = lambda client, data, message, own=own: own.append(message.topic)
        reader.on_subscribe = lambda *_, granted=granted: granted.set()
        reader.subscribe(pattern, qos=1)
        assert granted.wait(20)
    for _ in range(5):
        publisher.publish("a/b", "1", qos=1).wait_for_publish(20)
    time.sleep(1)
    for pattern, own in topics.items():
        others = [topic for topic in own if topic != "a/b"]
        among = {part: any(topic.startswith(part) for topic in others) for part in ("$JS/ACK", "$MQTT/sess")}
        seen[pattern] = own.count("a/b"), any(topic.startswith("$") for topic in others), *among.values()
        told = f"yes, among them {', '.join(f'{name}: {there}' for name, there in among.items())}" if others else "no"
        print(f"{pattern}: {own.count('a/b')} of a/b; others: {told}")
    publisher.disconnect()
finally:
    broker.kill()
    broker.wait()
assert seen == {"#": (5, True, True, True), "+/#": (5, True, True, True), "a/#": (5, False, False, False)}, seen
PYTHON
