#!/bin/sh
# ntplib 0.4.0: NTP counts 32 bits of seconds, which begin anew on 7 February 2036; a small number then means the time after that
# (RFC 4330, 3), and clients that know the year go on. ntplib takes each answer for one of the first round, which is 1900, and
# from that day on cannot even ask: the request carries the own time, and is refused before it is sent. A box of today
# reaches that day within its life, and a clock that has jumped past it cannot be put right by ntplib today.
#
# Seen (what a server says: what ntplib reads):
#   2036-02-07 06:28:15: 2036-02-07 06:28:15
#   2036-02-07 06:28:26: 1900-01-01 00:00:10
#   a request on that day: NTPException
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ntplib==0.4.0
"$folder/venv/bin/python" - <<'PYTHON'
import datetime
import socket
import threading
from unittest import mock

import ntplib

UTC = datetime.timezone.utc
ERA = datetime.datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC)  # 2^32 seconds after 1900


def answer(server: socket.socket, moment: datetime.datetime) -> None:
    """One answer of a server of stratum 1."""
    request, client = server.recvfrom(100)
    seconds = int((moment - ERA).total_seconds()) % 2**32
    stamp = seconds.to_bytes(4, "big") + bytes(4)
    server.sendto(bytes([0x24, 1, 6, 0xEC]) + bytes(12) + stamp + request[40:48] + stamp + stamp, client)


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    for offset, expected in ((-1, "2036-02-07 06:28:15"), (10, "1900-01-01 00:00:10")):
        moment = ERA + datetime.timedelta(seconds=offset)
        thread = threading.Thread(target=answer, args=(server, moment))
        thread.start()
        read = ntplib.NTPClient().request("127.0.0.1", port=server.getsockname()[1], version=4)
        thread.join()
        seen = f"{datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=read.tx_time):%Y-%m-%d %H:%M:%S}"
        print(f"{moment:%Y-%m-%d %H:%M:%S}: {seen}")
        assert seen == expected, expected
    with mock.patch("ntplib.time.time", return_value=ERA.timestamp() + 10):
        try:
            ntplib.NTPClient().request("127.0.0.1", port=server.getsockname()[1], version=4, timeout=1)
            raise SystemExit("no error")
        except ntplib.NTPException as error:
            print(f"a request on that day: {type(error).__name__}")
            assert "Invalid NTP packet fields" in str(error), error
PYTHON
