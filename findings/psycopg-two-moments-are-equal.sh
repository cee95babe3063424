#!/bin/sh
# psycopg 3.3.9 and DuckDB 2.0.1 give times with a zone as Python's datetime with the zone of the session (zoneinfo), and Python
# compares and subtracts times that share a zone by their clock faces. In the night when clocks go back two readings an
# hour apart are equal: one is lost as the key of a dict or in a set, and `after - before` over a change of clocks is an
# hour off, while PostgreSQL has it right in the same row. psycopg2 2.9.13 gives fixed offsets and asyncpg 0.32.0 gives UTC:
# both are right. So it comes with the move to psycopg 3, where the server's zone is not UTC. SET timezone = 'UTC' helps.
#
# Seen (00:30 and 01:30 UTC on 25 October 2026, Europe/Berlin, PostgreSQL 15; equal, left of the two in a set, difference):
#   PostgreSQL itself: False, 1:00:00
#   psycopg: True, 1, 0:00:00
#   DuckDB: True, 1, 0:00:00
#   psycopg2: False, 2, 1:00:00
#   asyncpg: False, 2, 1:00:00
set -eu
bin=/usr/lib/postgresql/15/bin
test -x $bin/initdb || {
    echo "needs PostgreSQL 15: on Debian 12, apt-get install postgresql" >&2
    exit 2
}
folder=$(mktemp -d)
# PostgreSQL refuses to run as root
as_server() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/sh -c "$1"; else sh -c "$1"; fi; }
trap 'as_server "$bin/pg_ctl -D $folder/data -m immediate stop" >/dev/null 2>&1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "psycopg[binary]==3.3.9" psycopg2-binary==2.9.13 asyncpg==0.32.0 duckdb==2.0.1 tzdata==2026.6
chmod 777 "$folder"
as_server "$bin/initdb -D $folder/data -U postgres -A trust -N --locale=C >/dev/null"
as_server "$bin/pg_ctl -D $folder/data -w -l $folder/log -o '-k $folder -c listen_addresses=' start >/dev/null"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import sys
from datetime import timedelta

import asyncpg
import duckdb
import psycopg
import psycopg2

ZONE, (BEFORE, AFTER) = "Europe/Berlin", (f"timestamptz '2026-10-25 {hour}:30Z'" for hour in ("00", "01"))
QUERY = f"SELECT {BEFORE}, {AFTER}, {BEFORE} = {AFTER}, {AFTER} - {BEFORE}"
ADDRESS = f"host={sys.argv[1]} user=postgres dbname=postgres options='-c timezone={ZONE}'"
HOUR = timedelta(hours=1)


def same(name: str, row: tuple, expected: tuple[bool, int, timedelta]) -> None:
    before, after, *by_server = row
    assert by_server == [False, HOUR], by_server
    seen = before == after, len({before, after}), after - before
    print(f"{name}: {seen[0]}, {seen[1]}, {seen[2]}")
    assert seen == expected, expected


async def by_asyncpg() -> tuple:
    settings = {"timezone": ZONE}
    connection = await asyncpg.connect(
        host=sys.argv[1], user="postgres", database="postgres", server_settings=settings
    )
    row = await connection.fetchrow(QUERY)
    await connection.close()
    return tuple(row)


with psycopg.connect(ADDRESS) as connection:
    row = connection.execute(QUERY).fetchone()
    print(f"PostgreSQL itself: {row[2]}, {row[3]}")
    same("psycopg", row, (True, 1, timedelta(0)))
base = duckdb.connect()
base.execute(f"SET timezone = '{ZONE}'")
same("DuckDB", base.execute(QUERY).fetchone(), (True, 1, timedelta(0)))
connection = psycopg2.connect(ADDRESS)
cursor = connection.cursor()
cursor.execute(QUERY)
same("psycopg2", cursor.fetchone(), (False, 2, HOUR))
connection.close()
same("asyncpg", asyncio.run(by_asyncpg()), (False, 2, HOUR))
PYTHON
