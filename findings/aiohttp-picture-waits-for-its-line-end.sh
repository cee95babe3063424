#!/bin/sh
# aiohttp 3.14.5, MultipartReader, Motion JPEG over HTTP (multipart/x-mixed-replace, each part with its Content-Length): read()
# of a part that has arrived whole, all bytes that its length states, does not return before the line end behind it. That
# belongs to the next boundary (RFC 2046, 5.1.1), and cameras send it in one of two ways: with the picture, or with the
# boundary of the next one. With the second kind each picture is late by one interval, 0.5 s at 2 Hz, whatever the
# network does, and the last one of a stream is lost, with ValueError.
#
# Seen (6 pictures at 2 Hz; pictures that came, and late by how much in their middle):
#   line end with the picture: 6, 0.0 s
#   line end with the next boundary: 5, 0.5 s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import contextlib
import time
from statistics import median

import aiohttp

PICTURE, INTERVAL_S = bytes(20_000), 0.5
HEAD = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)


async def pictures(behind: bytes, before: bytes) -> tuple[int, float]:
    """How many of six pictures come, and how late, in s, when the line end is sent behind each or before the next."""
    sent_s: list[float] = []

    async def camera(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n")
        for number in range(6):
            writer.write((before if number else b"") + HEAD + PICTURE + behind)
            sent_s.append(time.monotonic())
            await writer.drain()
            await asyncio.sleep(INTERVAL_S)
        writer.close()

    late_s: list[float] = []
    async with await asyncio.start_server(camera, "127.0.0.1", 0) as server, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        async with session.get(f"http://127.0.0.1:{port}/") as answer:
            parts = aiohttp.MultipartReader.from_response(answer)
            with contextlib.suppress(ValueError):  # at the end of the stream
                while part := await parts.next():
                    assert len(await part.read()) == len(PICTURE)
                    late_s.append(time.monotonic() - sent_s[len(late_s)])
    return len(late_s), median(late_s)


for name, where, count, expected_s in (
    ("line end with the picture", (b"\r\n", b""), 6, 0.0),
    ("line end with the next boundary", (b"", b"\r\n"), 5, INTERVAL_S),
):
    came, late_s = asyncio.run(pictures(*where))
    print(f"{name}: {came}, {late_s:.1f} s")
    assert came == count and abs(late_s - expected_s) < 0.3, late_s
PYTHON
