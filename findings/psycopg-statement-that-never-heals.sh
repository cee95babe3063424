#!/bin/sh
# psycopg 3.3.9 with PostgreSQL 15: what is executed for the sixth time on a connection becomes a prepared statement of the
# server's. If a column is added to the table after that (a migration beside a running writer), every further
# INSERT ... RETURNING * or SELECT * of this connection fails with "cached plan must not change result type", for good:
# the statement stays in psycopg's cache, and no error takes it out. A reconnection is what helps, or
# prepare_threshold=None. Less than six executions before the change, and nothing is ever seen of it.
#
# Seen (INSERT ... RETURNING *, 20 times, a column is added after so many):
#   after 3: 20 written
#   after 6: 6 written, then FeatureNotSupported 14 times
#   after 6, prepare_threshold=None: 20 written
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
from collections import Counter

import psycopg

ADDRESS = f"host={sys.argv[1]} user=postgres dbname=postgres"
seen = []
for name, after, threshold in (
    ("after 3", 3, 5),
    ("after 6", 6, 5),
    ("after 6, prepare_threshold=None", 6, None),
):
    with (
        psycopg.connect(ADDRESS, autocommit=True) as owner,
        psycopg.connect(ADDRESS, autocommit=True, prepare_threshold=threshold) as writer,
    ):
        owner.execute("DROP TABLE IF EXISTS readings")
        owner.execute("CREATE TABLE readings (camera text)")
        errors = Counter()
        for number in range(20):
            if number == after:
                owner.execute("ALTER TABLE readings ADD note text")
            try:
                writer.execute("INSERT INTO readings VALUES (%s) RETURNING *", (f"cam{number}",)).fetchall()
            except psycopg.Error as exc:
                errors[type(exc).__name__] += 1
        written = owner.execute("SELECT count(*) FROM readings").fetchone()[0]
    seen.append((written, dict(errors)))
    print(f"{name}: {written} written{''.join(f', then {error} {count} times' for error, count in errors.items())}")
assert seen == [(20, {}), (6, {"FeatureNotSupported": 14}), (20, {})], seen
PYTHON
