#!/bin/sh
# asyncua 2.1.0, OPC UA server: a reader that asks for changes above a deadband is to get a value that differs by more than
# that from the last one put into its queue (OPC 10000-4, DataChangeFilter). This server compares with the last one
# written, queued or not. What changes slowly is never sent: a barn goes from 20 to 45 degrees in steps of 0.4 without a
# word to a reader with a deadband of 0.5. A sensor that fails, status Bad and no value, is not sent either, which a
# reader without a deadband gets; nor is NaN, or the first value after it.
#
# Seen (what a reader gets of the writes, as it is and with a deadband of 0.5; Bad is a write without a value):
#   20.4, 20.8, 21.2, 21.6 after 20: 20.4 20.8 21.2 21.6, nothing
#   30 after 20: 30, 30
#   Bad after 20: Bad, nothing
#   NaN, then 30, after 20: NaN 30, nothing
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asyncua==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import logging
import math
import socket

from asyncua import Client, Server, ua

logging.disable()
BAD = ua.DataValue(ua.Variant(None), StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure))
with socket.create_server(("127.0.0.1", 0)) as free:
    address = f"opc.tcp://127.0.0.1:{free.getsockname()[1]}/"


class Reader:
    """What it is told, as text."""

    def __init__(self) -> None:
        self.told = []

    def datachange_notification(self, node, value, data) -> None:
        good = data.monitored_item.Value.StatusCode.is_good()
        self.told.append("Bad" if not good else "NaN" if math.isnan(value) else f"{value:g}")


async def changes(index: int, writes: list) -> list[str]:
    """What the two readers get of the writes, after 20."""
    node = await server.nodes.objects.add_variable(index, "barn", 20.0)
    readers = Reader(), Reader()
    async with Client(address) as client:
        plain, filtered = [await client.create_subscription(50, reader) for reader in readers]
        await plain.subscribe_data_change(client.get_node(node.nodeid))
        await filtered.deadband_monitor(client.get_node(node.nodeid), 0.5)
        await asyncio.sleep(0.5)
        for reader in readers:
            assert reader.told == ["20"], reader.told
        for value in writes:
            await node.write_value(value)
            await asyncio.sleep(0.3)
        await asyncio.sleep(0.5)
    await node.delete()
    return [" ".join(reader.told[1:]) or "nothing" for reader in readers]


async def run() -> None:
    global server
    server = Server()
    await server.init()
    server.set_endpoint(address)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:barn")
    async with server:
        for name, writes, expected in (
            ("20.4, 20.8, 21.2, 21.6 after 20", [20.4, 20.8, 21.2, 21.6], ["20.4 20.8 21.2 21.6", "nothing"]),
            ("30 after 20", [30.0], ["30", "30"]),
            ("Bad after 20", [BAD], ["Bad", "nothing"]),
            ("NaN, then 30, after 20", [math.nan, 30.0], ["NaN 30", "nothing"]),
        ):
            told = await changes(index, writes)
            print(f"{name}: {told[0]}, {told[1]}")
            assert told == expected, expected


asyncio.run(run())
PYTHON
