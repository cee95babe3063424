#!/bin/sh
# RabbitMQ 3.10.8 (Debian 12) as an MQTT broker: who subscribes again to the same filter with another QoS has both
# subscriptions (MQTT 3.1.1, 3.8.4: the new one replaces the old), each message comes twice, at either QoS, and counts count
# double. With a session that is kept that outlives a restart: a reader whose new version asks for QoS 0 goes on getting what
# it asked for before, as well. And a `*` in a topic, which MQTT allows and AMQP does not, comes out as `+`.
#
# Seen (one message of QoS 1 to each):
#   subscribed at QoS 1: 1
#   at QoS 1, then at QoS 0: 0 1
#   at QoS 1 in a kept session, back, then at QoS 0: 0 1
#   topic of room/2*4: room/2+4
set -eu
server=/usr/lib/rabbitmq/bin/rabbitmq-server
grep -qs 'vsn.*"3.10.8"' /usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/plugins/rabbit-3.10.8/ebin/rabbit.app || {
    echo "needs RabbitMQ 3.10.8: on Debian 12, apt-get install rabbitmq-server" >&2
    exit 2
}
folder=$(mktemp -d)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0 || { rm -rf "$folder"; exit 1; }
port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
amqp=$(port) mqtt=$(port)
export HOME="$folder" RABBITMQ_NODENAME="find$$@localhost" RABBITMQ_MNESIA_BASE="$folder" RABBITMQ_LOG_BASE="$folder"
export RABBITMQ_CONFIG_FILE="$folder/rabbit" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" RABBITMQ_PID_FILE="$folder/pid"
export RABBITMQ_NODE_PORT="$amqp" ERL_EPMD_ADDRESS=127.0.0.1
RABBITMQ_DIST_PORT=$(port) ERL_EPMD_PORT=$(port)
export RABBITMQ_DIST_PORT ERL_EPMD_PORT
echo "[rabbitmq_mqtt]." >"$folder/plugins"
printf 'listeners.tcp.1 = 127.0.0.1:%s\nmqtt.listeners.tcp.1 = 127.0.0.1:%s\nmqtt.allow_anonymous = true\n' \
    "$amqp" "$mqtt" >"$folder/rabbit.conf"
end() {
    kill "$(cat "$folder/pid")" && wait
    epmd -port "$ERL_EPMD_PORT" -kill
    rm -rf "$folder"
}
trap 'end >/dev/null 2>&1' EXIT
"$server" >"$folder/out" 2>&1 &
"$folder/venv/bin/python" - "$mqtt" <<'PYTHON'
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt

port = int(sys.argv[1])
end_s = time.monotonic() + 90
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        assert time.monotonic() < end_s, "RabbitMQ did not start"
        time.sleep(0.5)


class Reader(mqtt.Client):
    """Connected over MQTT 3.1.1; collects what it receives."""

    def __init__(self, name: str, clean: bool = True) -> None:
        super().__init__(mqtt.CallbackAPIVersion.VERSION2, name, clean_session=clean)
        self.messages, self.there, self.granted = [], threading.Event(), threading.Event()
        self.on_connect = lambda *_: self.there.set()
        self.on_subscribe = lambda *_: self.granted.set()
        self.on_message = lambda client, data, message: self.messages.append(message)
        self.connect("127.0.0.1", port)
        self.loop_start()
        assert self.there.wait(20)

    def ask(self, pattern: str, qos: int) -> None:
        self.granted.clear()
        self.subscribe(pattern, qos)
        assert self.granted.wait(20)


once, twice, kept = Reader("once"), Reader("twice"), Reader("kept", clean=False)
for reader in (once, twice, kept):
    reader.ask("room/+", 1)
twice.ask("room/+", 0)
kept.disconnect()
kept.loop_stop()
kept = Reader("kept", clean=False)
kept.ask("room/+", 0)
publisher = Reader("publisher")
publisher.publish("room/1", "x", qos=1).wait_for_publish(20)
time.sleep(2)
seen = [sorted(message.qos for message in reader.messages) for reader in (once, twice, kept)]
for name, levels in zip(
    ("subscribed at QoS 1", "at QoS 1, then at QoS 0", "at QoS 1 in a kept session, back, then at QoS 0"), seen
):
    print(f"{name}: {' '.join(map(str, levels))}")
once.messages.clear()
publisher.publish("room/2*4", "x", qos=1).wait_for_publish(20)
time.sleep(2)
topics = [message.topic for message in once.messages]
print(f"topic of room/2*4: {' '.join(topics)}")
assert seen == [[1], [0, 1], [0, 1]], seen
assert topics == ["room/2+4"], topics
PYTHON
