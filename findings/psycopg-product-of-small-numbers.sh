#!/bin/sh
# psycopg 3.3.9 with PostgreSQL 15: an int is sent as the smallest type that holds it, and PostgreSQL computes in the type of its
# operands. So the product of two parameters depends on their values: 40000 * 480 is right, 100 * 200 is right, and 640 * 480
# is an error, "smallint out of range". The usual case for it is an interval from two numbers, hours and seconds. With a
# column or a cast beside it (`%s::int * %s`) all is well. It is tested with small numbers and fails at real ones.
#
# Seen (SELECT %s * %s, and `now() - %s * %s * interval '1 second'`):
#   100 * 200: 20000
#   640 * 480: NumericValueOutOfRange: smallint out of range
#   40000 * 480: 19200000
#   640 * 480, first one cast: 307200
#   24 * 3600 seconds ago: NumericValueOutOfRange: smallint out of range
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

import psycopg

PRODUCT, AGO = "SELECT %s * %s", "SELECT now() - %s * %s * interval '1 second'"
TOO_LARGE, seen = "NumericValueOutOfRange: smallint out of range", []
with psycopg.connect(f"host={sys.argv[1]} user=postgres dbname=postgres", autocommit=True) as base:
    for name, query, values in (
        ("100 * 200", PRODUCT, (100, 200)),
        ("640 * 480", PRODUCT, (640, 480)),
        ("40000 * 480", PRODUCT, (40000, 480)),
        ("640 * 480, first one cast", "SELECT %s::int * %s", (640, 480)),
        ("24 * 3600 seconds ago", AGO, (24, 3600)),
    ):
        try:
            seen.append(base.execute(query, values).fetchone()[0])
        except psycopg.Error as exc:
            seen.append(f"{type(exc).__name__}: {str(exc).splitlines()[0]}")
        print(f"{name}: {seen[-1]}")
assert seen == [20000, TOO_LARGE, 19200000, 307200, TOO_LARGE], seen
PYTHON
