#!/bin/sh
# psycopg 3.3.9 with PostgreSQL 15: timestamptz comes as a datetime of the session's TimeZone, which is the server's own if nobody
# sets it. Where that zone has summer time, rows of the hour that comes twice meet in Python: datetimes of one zone
# are compared and subtracted by their wall clocks, the difference of two instants an hour apart is 0, they are equal, and
# a dict keyed by time keeps one of them. The day of 25 hours has 24. PostgreSQL is right in all three. With
# TimeZone UTC (`options="-c timezone=UTC"`) Python is too.
#
# Seen (00:30 and 01:30 UTC on 25 October 2026; difference by PostgreSQL, by Python; keys of a dict; that day's length):
#   Europe/Berlin: 1:00:00, 0:00:00; 1 key; 25 h by PostgreSQL, 24 h by Python
#   UTC: 1:00:00, 1:00:00; 2 keys; 25 h by PostgreSQL, 25 h by Python
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
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9" tzdata==2026.6
chmod 777 "$folder"
as_server "$bin/initdb -D $folder/data -U postgres -A trust -N --locale=C >/dev/null"
as_server "$bin/pg_ctl -D $folder/data -w -l $folder/log -o '-k $folder -c listen_addresses=' start >/dev/null"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from datetime import timedelta

import psycopg

HOUR, seen = timedelta(hours=1), []
for zone in ("Europe/Berlin", "UTC"):
    address = f"host={sys.argv[1]} user=postgres dbname=postgres options='-c timezone={zone}'"
    with psycopg.connect(address, autocommit=True) as base:
        one, other, apart = base.execute(
            "SELECT a, b, b - a FROM (VALUES (timestamptz '2026-10-25 00:30Z', timestamptz '2026-10-25 01:30Z')) t (a, b)"
        ).fetchone()
        start, end, length = base.execute(
            "SELECT a, b, b - a FROM (VALUES (timestamptz '2026-10-25 00:00 Europe/Berlin',"
            " timestamptz '2026-10-26 00:00 Europe/Berlin')) t (a, b)"
        ).fetchone()
    keys = len({one: "first", other: "second"})
    seen.append((apart, other - one, keys, length / HOUR, (end - start) / HOUR))
    print(
        f"{zone}: {apart}, {other - one}; {keys} key{'s' if keys > 1 else ''}; "
        f"{length / HOUR:.0f} h by PostgreSQL, {(end - start) / HOUR:.0f} h by Python"
    )
assert seen == [(HOUR, 0 * HOUR, 1, 25, 24), (HOUR, HOUR, 2, 25, 25)], seen
PYTHON
