#!/bin/sh
# PostgreSQL 15: generate_series(start, stop, '1 day') adds a day to the value before, not days to the start. If one of them
# falls into the hour that summer time leaves out it is moved to the next hour, and all days after it stay there: 02:30 is 03:30
# from then on, and the last day is missing, as 03:30 is later than the end. Reports, gaps and joins that are made per night
# by such a series are an hour off until October. start + n * '1 day' moves the one day only.
#
# Seen (Europe/Berlin, 28 to 31 March 2026, 02:30):
#   generate_series(..., '1 day'): 28 02:30, 29 03:30, 30 03:30
#   start + n * '1 day': 28 02:30, 29 03:30, 30 02:30, 31 02:30
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

address = f"host={sys.argv[1]} user=postgres dbname=postgres options='-c timezone=Europe/Berlin'"
START, END = "timestamptz '2026-03-28 02:30'", "timestamptz '2026-03-31 02:30'"
seen = []
with psycopg.connect(address, autocommit=True) as base:
    for name, query in (
        ("generate_series(..., '1 day')", f"SELECT generate_series({START}, {END}, '1 day')"),
        ("start + n * '1 day'", f"SELECT {START} + n * interval '1 day' FROM generate_series(0, 3) n"),
    ):
        seen.append(", ".join(f"{time:%d %H:%M}" for (time,) in base.execute(query)))
        print(f"{name}: {seen[-1]}")
assert seen == ["28 02:30, 29 03:30, 30 03:30", "28 02:30, 29 03:30, 30 02:30, 31 02:30"], seen
PYTHON
