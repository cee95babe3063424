#!/bin/sh
# pymodbus 3.16.1, synchronous client, Modbus RTU over TCP (gateways of barn climate, scales and meters): one answer that is
# late once shifts all readings that follow. The request is repeated, as by default; the device answers both; the second
# answer lies in the buffer, is taken for that of the next request, and so on: each value is from then on that of the
# register asked before, for as long as the connection lasts. RTU has no number of the request, the check sum is right, and
# no call fails. Nothing empties the buffer before a request; the asynchronous client drops what comes unasked, and heals.
#
# Seen (registers 10, 20, 30 and 40 in turn, each holds its own number; the third answer comes with its repetition):
#   synchronous: 10=10 20=20 30=30 40=30 10=40 20=10 30=20 40=30 10=40 20=10 30=20 40=30
#   asynchronous: 10=10 20=20 30=30 40=40 10=10 20=20 30=30 40=40 10=10 20=20 30=30 40=40
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymodbus==3.16.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import contextlib
import socket
import struct
import threading
import time

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, ModbusTcpClient
from pymodbus.framer.rtu import FramerRTU

ASKED = [10, 20, 30, 40] * 3
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
OPTIONS = {"port": port, "framer": FramerType.RTU, "timeout": 0.5}


def device() -> None:
    """Answers the requests of two connections, one after the other: each register holds its own number."""
    for _ in range(2):
        connection, _ = listener.accept()
        waiting, number = b"", 0
        with connection, contextlib.suppress(ConnectionError):
            while received := connection.recv(256):
                waiting += received
                while len(waiting) >= 8:
                    request, waiting = waiting[:8], waiting[8:]
                    number += 1
                    while number == 3 and len(waiting) < 8:  # late: only when it is asked for again
                        waiting += connection.recv(256)
                    time.sleep(0.02)
                    answer = request[:2] + b"\x02" + request[2:4]
                    connection.sendall(answer + struct.pack(">H", FramerRTU.compute_CRC(answer)))


def same(name: str, values: list[int], expected: list[int]) -> None:
    print(f"{name}:", *(f"{register}={value}" for register, value in zip(ASKED, values)))
    assert values == expected, expected


threading.Thread(target=device, daemon=True).start()
values = []
client = ModbusTcpClient("127.0.0.1", **OPTIONS)
client.connect()
for register in ASKED:
    values.append(client.read_holding_registers(register).registers[0])
    time.sleep(0.05)
client.close()
same("synchronous", values, [10, 20, 30, 30, 40, 10, 20, 30, 40, 10, 20, 30])


async def ask() -> list[int]:
    client = AsyncModbusTcpClient("127.0.0.1", **OPTIONS)
    await client.connect()
    values = []
    for register in ASKED:
        values.append((await client.read_holding_registers(register)).registers[0])
        await asyncio.sleep(0.3)
    client.close()
    return values


same("asynchronous", asyncio.run(ask()), ASKED)
PYTHON
