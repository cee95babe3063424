#!/bin/sh
# nats-py 2.16.0 with nats-server 2.9.10 (Debian 12), JetStream: pull_subscribe and subscribe with the name of a durable that
# exists take it as it is; subject and config of the call are not compared with it, and not used. So the new version of a
# program that asks for one subject more, or for more time to acknowledge, gets what the old version asked for, for good
# and without a word; and who asks for "site.b" by a durable of "site.a" is given messages of "site.a". Only a durable
# that was deleted before is made anew, with the stream from its beginning.
#
# Seen (durable made for site.a with ack_wait 1; messages to site.a and site.b; subjects that come, ack_wait):
#   pull, asked for site.* and 60: site.a, 1
#   pull, asked for site.b: site.a, 1
#   push, asked for site.*: site.a, 1
#   pull, deleted before, asked for site.* and 60: site.a site.b, 60
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq nats-server=2.9.10-1+b3 && dpkg -x nats-server_*.deb .) || {
    echo "needs nats-server 2.9.10 of Debian 12 (apt-get update)" >&2
    exit 2
}
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys

import nats
from nats.errors import TimeoutError as NothingCame
from nats.js.api import ConsumerConfig


def wanted(subject: str, wait_s: float) -> ConsumerConfig:
    return ConsumerConfig(filter_subject=subject, ack_wait=wait_s)


async def run(address: str) -> list[str]:
    connection = await nats.connect(address, allow_reconnect=False)
    stream = connection.jetstream()
    await stream.add_stream(name="site", subjects=["site.*"])
    seen = []

    async def tell(name: str, durable: str, asked: str, subscribe) -> None:
        """Which subjects come by the durable, after one more message to each."""
        subscription = await subscribe(asked, durable=durable, config=wanted(asked, 60))
        for subject in ("site.a", "site.b"):
            await stream.publish(subject, b"x")
        subjects = set()
        try:
            while True:
                if subscribe == stream.pull_subscribe:
                    (message,) = await subscription.fetch(1, timeout=1)
                else:
                    message = await subscription.next_msg(timeout=1)
                await message.ack()
                subjects.add(message.subject)
        except NothingCame:
            pass
        info = await stream.consumer_info("site", durable)
        seen.append(f"{' '.join(sorted(subjects))}, {info.config.ack_wait:g}")
        print(f"{name}: {seen[-1]}")

    for durable, subscribe in (("pulled", stream.pull_subscribe), ("pushed", stream.subscribe)):
        subscription = await subscribe("site.a", durable=durable, config=wanted("site.a", 1))
        await connection.flush()
        if durable == "pushed":
            await subscription.unsubscribe()
    await tell("pull, asked for site.* and 60", "pulled", "site.*", stream.pull_subscribe)
    await tell("pull, asked for site.b", "pulled", "site.b", stream.pull_subscribe)
    await tell("push, asked for site.*", "pushed", "site.*", stream.subscribe)
    await stream.delete_consumer("site", "pulled")
    await tell("pull, deleted before, asked for site.* and 60", "pulled", "site.*", stream.pull_subscribe)
    await connection.close()
    return seen


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
command = [f"{sys.argv[1]}/usr/sbin/nats-server", "-js", "-sd", f"{sys.argv[1]}/store", "-a", "127.0.0.1", "-p", str(port)]
server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
try:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert server.poll() is None, "nats-server ended"
    seen = asyncio.run(asyncio.wait_for(run(f"nats://127.0.0.1:{port}"), 60))
finally:
    server.kill()
    server.wait()
assert seen == ["site.a, 1"] * 3 + ["site.a site.b, 60"], seen
PYTHON
