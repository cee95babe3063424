#!/bin/sh
# nats-server 2.9.10 (Debian 12), three nodes: a node that was killed and is back answers /healthz with 503 "consumer is
# not current", and goes on doing so, although it is in the cluster and its copy of the stream is current: the copies of
# some durable consumers, which nobody read while it was away, stay a few entries behind for good. Reading from them then
# does not help. A probe of readiness that asks /healthz, or a rolling upgrade that waits for it, waits for ever. What
# tells that a node serves again is /healthz?js-server-only=true.
#
# Seen (12 durable consumers; which of them stay behind differs from run to run):
#   20 s after its return: 503, a consumer is not current
#   its copy of the stream: current
#   20 s after a message of each consumer was read: 503, a consumer is not current
#   /healthz?js-server-only=true: 200
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
import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import nats
import nats.errors

top, nodes, idle = Path(sys.argv[1]), range(3), range(12)
STALE = "503, a consumer is not current"
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(9)]
ports = [one.getsockname()[1] for one in held]
clients, routes, monitors = ports[:3], ports[3:6], ports[6:]
for one in held:
    one.close()


def start(node: int) -> subprocess.Popen:
    others = ", ".join(f'"nats://127.0.0.1:{routes[other]}"' for other in nodes if other != node)
    (top / f"{node}.conf").write_text(
        f"server_name: n{node}\nlisten: 127.0.0.1:{clients[node]}\nhttp: 127.0.0.1:{monitors[node]}\n"
        f'jetstream {{ store_dir: "{top}/{node}" }}\n'
        f"cluster {{ name: site, listen: 127.0.0.1:{routes[node]}, routes: [{others}] }}\n"
    )
    server = top / "usr/sbin/nats-server"
    server = server if server.exists() else top / "usr/bin/nats-server"
    return subprocess.Popen([server, "-c", f"{top}/{node}.conf"], stderr=subprocess.DEVNULL)


def health(node: int, path: str = "/healthz") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", monitors[node], timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()).get("error", "")
    except OSError:
        return 0, ""


async def patiently(call, seconds: float = 30):
    """What the call returns once a leader is there."""
    end_s = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except (nats.errors.Error, asyncio.TimeoutError):
            if time.monotonic() > end_s:
                raise
            await asyncio.sleep(0.5)


async def healthy(node: int) -> None:
    end_s = time.monotonic() + 30
    while health(node)[0] != 200 and time.monotonic() < end_s:
        await asyncio.sleep(0.5)


async def main() -> None:
    for node in nodes:
        await healthy(node)
    client = await nats.connect([f"nats://127.0.0.1:{port}" for port in clients[:2]])
    stream = client.jetstream()
    await patiently(lambda: stream.add_stream(name="states", subjects=["states.>"], num_replicas=3))
    queues = [await patiently(lambda n=n: stream.pull_subscribe("states.>", f"idle{n}")) for n in idle]
    for _ in range(20):
        await patiently(lambda: stream.publish("states.box", b"1"))
    await asyncio.sleep(2)
    running[2].kill()
    running[2].wait()
    for _ in range(20):
        await patiently(lambda: stream.publish("states.box", b"1"))
    await asyncio.sleep(2)
    running[2] = start(2)
    first = await behind(20)
    print(f"20 s after its return: {first}")
    copies = (await stream.stream_info("states")).cluster.replicas
    current = all(copy.current for copy in copies if copy.name == "n2")
    print(f"its copy of the stream: {'current' if current else 'behind'}")
    for queue in queues:
        for message in await patiently(lambda queue=queue: queue.fetch(1, timeout=5)):
            await message.ack()
    second = await behind(20)
    print(f"20 s after a message of each consumer was read: {second}")
    server, _ = health(2, "/healthz?js-server-only=true")
    print(f"/healthz?js-server-only=true: {server}")
    await client.close()
    assert (first, current, second, server) == (STALE, True, STALE, 200), (first, current, second, server)


async def behind(seconds: float) -> str:
    """What the third node says when it is healthy, or the time is up."""
    end_s = time.monotonic() + seconds
    while (told := health(2))[0] != 200 and time.monotonic() < end_s:
        await asyncio.sleep(0.5)
    status, error = told
    return f"{status}, {'a consumer is not current' if 'consumer' in error and 'is not current' in error else error}"


running = [start(node) for node in nodes]
try:
    asyncio.run(main())
finally:
    for server in running:
        server.kill()
        server.wait()
PYTHON
