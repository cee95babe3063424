#!/bin/sh
# starlette 1.10.0 with uvicorn 0.54.0: a picture stream from a plain generator (`def`, as most examples of Motion JPEG have
# it) does not end when its viewer leaves. No more of it is asked for, but it is not closed either: it lies in a
# reference cycle, and its `finally`, which gives the camera back, runs when Python next collects garbage; on a server
# with little to do that is hours later, or never, and in whichever thread. An `async def` generator is ended at once.
#
# Seen (4 viewers of each have come and gone; 5 s later):
#   async def: 4 of 4 ended
#   def: 0 of 4 ended; after gc.collect(): 4 of 4
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check starlette==1.10.0 uvicorn==0.54.0 anyio==4.16.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import gc
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

VIEWERS = 4
ended = {"async": 0, "plain": 0}


async def frames():
    try:
        while True:
            yield b"frame"
            await asyncio.sleep(0.05)
    finally:
        ended["async"] += 1


def plain_frames():
    try:
        while True:
            yield b"frame"
            time.sleep(0.05)
    finally:
        ended["plain"] += 1


async def watch_async(request):
    return StreamingResponse(frames())


async def watch_plain(request):
    return StreamingResponse(plain_frames())


own = socket.create_server(("127.0.0.1", 0))
app = Starlette(routes=[Route("/async", watch_async), Route("/plain", watch_plain)])
server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
thread.start()
while not server.started:
    time.sleep(0.05)
gc.collect()
for kind in ended:
    for _ in range(VIEWERS):
        with socket.create_connection(own.getsockname()) as viewer:
            viewer.sendall(f"GET /{kind} HTTP/1.1\r\nHost: camera\r\n\r\n".encode())
            while b"frame" not in viewer.recv(4096):
                pass
time.sleep(5)
before = dict(ended)
gc.collect()
time.sleep(0.5)
server.should_exit = True
thread.join()
print(f"async def: {before['async']} of {VIEWERS} ended")
print(f"def: {before['plain']} of {VIEWERS} ended; after gc.collect(): {ended['plain']} of {VIEWERS}")
assert before["async"] == VIEWERS, before
assert before["plain"] < VIEWERS, before
assert ended["plain"] == VIEWERS, ended
PYTHON
