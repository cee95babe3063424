#!/bin/sh
# uvicorn 0.54.0: `callback_notify`, which is there to tell a supervisor that the server goes round (systemd's watchdog;
# gunicorn's worker uses it), is timed by the wall clock. Where NTP sets that back, as on a board that woke with a wrong
# time, no more call comes until the old time is reached again: set back an hour, silent for an hour, while requests are
# answered all along. A watchdog of 30 s kills the server that is well, and again and again if each start meets the same.
#
# Seen (timeout_notify=1; time.time() alone is set back here, not the machine's clock):
#   calls in 6 s: 2 or more; in 6 s after the clock was put forward an hour: 2 or more
#   in 8 s after it was put back: 0; a request then: 200 OK
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
"$folder/venv/bin/python" - <<'PYTHON'
import http.client
import socket
import threading
import time

import uvicorn

real, shift_s, calls = time.time, 0.0, 0
time.time = lambda: real() + shift_s


async def notify() -> None:
    global calls
    calls += 1


async def app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"well"})


def count(seconds: float) -> int:
    before = calls
    time.sleep(seconds)
    return calls - before


own = socket.create_server(("127.0.0.1", 0))
config = uvicorn.Config(app, lifespan="off", log_level="error", timeout_notify=1, callback_notify=notify)
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
thread.start()
while not server.started:
    time.sleep(0.05)
first = count(6)
shift_s = 3600.0
forward = count(6)
shift_s = 0.0
back = count(8)
client = http.client.HTTPConnection(*own.getsockname(), timeout=10)
client.request("GET", "/")
answer = client.getresponse()
server.should_exit = True
thread.join()


def told(number: int) -> str:
    return "2 or more" if number > 1 else str(number)


print(f"calls in 6 s: {told(first)}; in 6 s after the clock was put forward an hour: {told(forward)}")
print(f"in 8 s after it was put back: {back}; a request then: {answer.status} {answer.reason}")
assert (first > 1, forward > 1, back, answer.status) == (True, True, 0, 200), (first, forward, back, answer.status)
PYTHON
