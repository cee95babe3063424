#!/bin/sh
# RabbitMQ 3.10.8 (Debian 12): where a message goes that a worker gives back (basic.nack with requeue) depends on something else.
# A classic queue puts it where it was. A quorum queue puts it at the end, so that the order of a camera's messages is
# lost at the first one that is tried again; unless it has an x-delivery-limit, whatever its number, then at the head. And
# the limit counts what nobody has refused: each time a connection or channel ends all its unacknowledged messages are one
# nearer to the limit, and then gone. Workers that are restarted often lose what they had prefetched.
#
# Seen (messages 0 to 4; order after 0 was given back once; what is left of x, fetched on a channel that then closed):
#   classic: 0 1 2 3 4; x after 4 channels: there
#   quorum: 1 2 3 4 0; x after 4 channels: there
#   quorum, limit 20: 0 1 2 3 4; x after 4 channels: there
#   quorum, limit 3: 0 1 2 3 4; x after 4 channels: gone
set -eu
server=/usr/lib/rabbitmq/bin/rabbitmq-server
grep -qs 'vsn.*"3.10.8"' /usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/plugins/rabbit-3.10.8/ebin/rabbit.app || {
    echo "needs RabbitMQ 3.10.8: on Debian 12, apt-get install rabbitmq-server" >&2
    exit 2
}
folder=$(mktemp -d)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pika==1.4.4 || { rm -rf "$folder"; exit 1; }
port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
amqp=$(port)
export HOME="$folder" RABBITMQ_NODENAME="find$$@localhost" RABBITMQ_MNESIA_BASE="$folder" RABBITMQ_LOG_BASE="$folder"
export RABBITMQ_CONFIG_FILE="$folder/rabbit" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" RABBITMQ_PID_FILE="$folder/pid"
export RABBITMQ_NODE_PORT="$amqp" ERL_EPMD_ADDRESS=127.0.0.1
RABBITMQ_DIST_PORT=$(port) ERL_EPMD_PORT=$(port)
export RABBITMQ_DIST_PORT ERL_EPMD_PORT
echo "[]." >"$folder/plugins"
echo "listeners.tcp.1 = 127.0.0.1:$amqp" >"$folder/rabbit.conf"
end() {
    kill "$(cat "$folder/pid")" && wait
    epmd -port "$ERL_EPMD_PORT" -kill
    rm -rf "$folder"
}
trap 'end >/dev/null 2>&1' EXIT
"$server" >"$folder/out" 2>&1 &
"$folder/venv/bin/python" - "$amqp" <<'PYTHON'
import sys
import time

import pika
from pika.exceptions import AMQPConnectionError

end_s = time.monotonic() + 90
while True:
    try:
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
        break
    except AMQPConnectionError:
        assert time.monotonic() < end_s, "RabbitMQ did not start"
        time.sleep(0.5)
QUORUM = {"x-queue-type": "quorum"}
channel = connection.channel()
channel.confirm_delivery()


def taken(queue: str, from_channel, **options) -> tuple:
    """The next message, waited for up to 5 s."""
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s:
        method, _, body = from_channel.basic_get(queue, **options)
        if method:
            return method, body.decode()
        time.sleep(0.1)
    return None, ""


seen = []
for name, arguments in (
    ("classic", {}),
    ("quorum", QUORUM),
    ("quorum, limit 20", QUORUM | {"x-delivery-limit": 20}),
    ("quorum, limit 3", QUORUM | {"x-delivery-limit": 3}),
):
    channel.queue_declare(name, durable=True, arguments=arguments)
    for number in range(5):
        channel.basic_publish("", name, str(number).encode())
    method, _ = taken(name, channel)
    channel.basic_nack(method.delivery_tag, requeue=True)
    time.sleep(0.5)
    order = " ".join(taken(name, channel, auto_ack=True)[1] for _ in range(5))
    channel.basic_publish("", name, b"x")
    for _ in range(4):
        worker = connection.channel()
        taken(name, worker)
        worker.close()
    left = "there" if taken(name, channel, auto_ack=True)[0] else "gone"
    seen.append((order, left))
    print(f"{name}: {order}; x after 4 channels: {left}")
connection.close()
kept = "0 1 2 3 4"
assert seen == [(kept, "there"), ("1 2 3 4 0", "there"), (kept, "there"), (kept, "gone")], seen
PYTHON
