#!/bin/sh
# PostgreSQL 15: sum() of a real column adds in real, one row after the other: of a million readings of 0.1 it is 1 % too high, of
# ten million 9 %. avg() of the same column adds in double precision and is right, so that sum and avg * count
# contradict each other. DuckDB 2.0.1 and Polars 2.1.0 sum the same numbers to all digits that matter. sum(x::float8) mends it.
#
# Seen (1 000 000 and 10 000 000 rows of 0.1; what is right: 100000 and 1000000):
#   sum(real): 100958, 1087937
#   avg(real) * count: 100000, 1000000
#   sum(real::float8): 100000, 1000000
#   DuckDB, sum(FLOAT): 100000, 1000000
#   Polars, Float32: 100000, 1000000
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
    "psycopg[binary]==3.3.9" duckdb==2.0.1 polars==2.1.0 tzdata==2026.6
chmod 777 "$folder"
as_server "$bin/initdb -D $folder/data -U postgres -A trust -N --locale=C >/dev/null"
as_server "$bin/pg_ctl -D $folder/data -w -l $folder/log -o '-k $folder -c listen_addresses=' start >/dev/null"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import duckdb
import polars
import psycopg

COUNTS = (1_000_000, 10_000_000)
seen = {}
with psycopg.connect(f"host={sys.argv[1]} user=postgres dbname=postgres", autocommit=True) as base:
    for name, what in (
        ("sum(real)", "sum(x)"),
        ("avg(real) * count", "avg(x) * count(*)"),
        ("sum(real::float8)", "sum(x::float8)"),
    ):
        query = "SELECT {} FROM (SELECT 0.1::real x FROM generate_series(1, {})) t"
        seen[name] = [round(base.execute(query.format(what, count)).fetchone()[0]) for count in COUNTS]
query = "SELECT sum(x) FROM (SELECT 0.1::FLOAT x FROM range({}))"
seen["DuckDB, sum(FLOAT)"] = [round(duckdb.sql(query.format(count)).fetchall()[0][0]) for count in COUNTS]
tenths = (polars.repeat(0.1, count, dtype=polars.Float32, eager=True) for count in COUNTS)
seen["Polars, Float32"] = [round(column.sum()) for column in tenths]
for name, (one, other) in seen.items():
    print(f"{name}: {one}, {other}")
drifted = seen.pop("sum(real)")
assert drifted == [100958, 1087937], drifted
assert all(sums == [100000, 1000000] for sums in seen.values()), seen
PYTHON
