#!/bin/sh
# DuckDB 2.0.1, the difference of two timestamptz: they are exact moments, and yet it depends on the session's zone, and in
# one with summer time it is wrong over a change of clocks: days are counted by the calendar there first, and a day is 24 hours
# wherever the difference is used (epoch(), sum, avg, comparisons, Python's timedelta). An outage of 25 hours is shorter
# than one of 24.5 then. The zone is that of the machine: what is right in a container of UTC is an hour off at a desk in
# Europe. PostgreSQL 15 gives "1 day 01:00:00" for the same. epoch(b) - epoch(a) is right, and spans below a day are.
#
# Seen (hours by epoch(b - a) / 3600: Europe/Berlin, UTC; by epoch(b) - epoch(a) in Berlin):
#   25.0 hours over 25 October: 24.0, 25.0; 25.0
#   24.5 hours over 25 October: 24.5, 24.5; 24.5
#   23.0 hours over 29 March: 24.0, 23.0; 23.0
#   241.0 hours over 25 October: 240.0, 241.0; 241.0
#   25 hours > 24.5 hours: False, True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb

ZONES = "Europe/Berlin", "UTC"
OCTOBER, MARCH = "timestamptz '2026-10-24 10:00Z'", "timestamptz '2026-03-28 11:00Z'"


def answer(zone: str, query: str) -> tuple:
    base = duckdb.connect()
    base.execute(f"SET timezone = '{zone}'")
    return base.execute(f"SELECT {query}").fetchone()


def after(start: str, hours: float) -> str:
    return f"({start} + INTERVAL {int(hours * 60)} MINUTES)"


for name, start, hours, by_berlin in (
    ("25 October", OCTOBER, 25.0, 24.0),
    ("25 October", OCTOBER, 24.5, 24.5),
    ("29 March", MARCH, 23.0, 24.0),
    ("25 October", "timestamptz '2026-10-20 10:00Z'", 241.0, 240.0),
):
    end = after(start, hours)
    query = f"epoch({end} - {start}) / 3600, (epoch({end}) - epoch({start})) / 3600"
    (berlin, right), (utc, _) = (answer(zone, query) for zone in ZONES)
    print(f"{hours} hours over {name}: {berlin}, {utc}; {right}")
    assert (berlin, utc, right) == (by_berlin, hours, hours)
query = f"{after(OCTOBER, 25)} - {OCTOBER} > {after(OCTOBER, 24.5)} - {OCTOBER}"
longer = [answer(zone, query)[0] for zone in ZONES]
print("25 hours > 24.5 hours:", ", ".join(map(str, longer)))
assert longer == [False, True]
PYTHON
