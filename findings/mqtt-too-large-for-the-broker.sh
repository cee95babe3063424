#!/bin/sh
# A broker tells MQTT 5 clients the largest packet that it takes (CONNACK, Maximum Packet Size), and a client must send none
# that is larger. paho-mqtt 2.2.0 receives the number and takes no notice: publish() of a larger message at QoS 1 gives
# rc 0, the broker hangs up, and the client sends the same again on each new connection, for ever; small messages behind
# it never leave, and no callback says which message it is. awscrt 0.38.1 refuses that one message at publish(), and
# sends the others.
#
# Seen (mosquitto 2.0.11 with max_packet_size 1000; 2000 bytes, then three small messages; after 5 s):
#   paho-mqtt: told 1000 by the broker; rc of publish 0; hung up on 3 or more times; small ones arrived: 0 of 3
#   awscrt: refused at publish: True; small ones arrived: 3 of 3
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
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0 awscrt==0.38.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from awscrt import mqtt5

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(Path(sys.argv[1]) / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 1000\n")
broker = subprocess.Popen(["mosquitto", "-c", f"{sys.argv[1]}/conf"], stderr=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)

MESSAGES = ("x" * 2000, "1", "2", "3")
arrived, limits, reasons, granted = {"paho": 0, "awscrt": 0}, [], [], threading.Event()


def count(client, data, message) -> None:
    arrived[message.topic] += 1


def new_client(name: str) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.on_connect = lambda client, data, flags, reason, properties: limits.append(properties.MaximumPacketSize)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


try:
    reader = new_client("reader")
    reader.on_message, reader.on_subscribe = count, lambda *_: granted.set()
    reader.subscribe("#", qos=1)
    assert granted.wait(10)

    paho = new_client("paho")
    paho.on_disconnect = lambda client, data, flags, reason, properties: reasons.append(str(reason))
    codes = [paho.publish("paho", text, qos=1).rc for text in MESSAGES]
    time.sleep(5)
    times = "3 or more" if len(reasons) > 2 else len(reasons)
    print(f"paho-mqtt: told {limits[0]} by the broker; rc of publish {codes[0]}; hung up on {times} times;", end=" ")
    print(f"small ones arrived: {arrived['paho']} of 3")

    up = threading.Event()
    connect = mqtt5.ConnectPacket(client_id="awscrt")
    options = mqtt5.ClientOptions(host_name="127.0.0.1", port=port, connect_options=connect)
    options.on_lifecycle_event_connection_success_fn = lambda _: up.set()
    aws = mqtt5.Client(options)
    aws.start()
    assert up.wait(10)
    packets = [mqtt5.PublishPacket(topic="awscrt", payload=text, qos=mqtt5.QoS.AT_LEAST_ONCE) for text in MESSAGES]
    results = [aws.publish(packet) for packet in packets]
    time.sleep(2)
    refused = results[0].done() and results[0].exception() is not None
    print(f"awscrt: refused at publish: {refused}; small ones arrived: {arrived['awscrt']} of 3")
    aws.stop()
    for client in (paho, reader):
        client.disconnect()
        client.loop_stop()
finally:
    broker.kill()
    broker.wait()
assert (limits[0], codes[0], times, refused) == (1000, 0, "3 or more", True), (limits, codes, reasons, results)
assert arrived == {"paho": 0, "awscrt": 3}, arrived
PYTHON
