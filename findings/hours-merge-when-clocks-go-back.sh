#!/bin/sh
# Counts per hour of times with a zone, on the night when clocks go back (02:00 to 03:00 comes twice). The times are exact,
# UTC with a zone for display, and yet DuckDB 2.0.1 puts both hours into one, the later: date_trunc('hour', ...) gives a
# time AFTER the event, the hour before has no row, and this one twice as much. time_bucket is right, by a quarter of an
# hour too. pyarrow 26.0.1 and pandas 3.1.1 refuse the whole column for one row of that night; pandas has a
# parameter for it, pyarrow has none. Polars 2.1.0 is right.
#
# Seen (one event each 20 minutes from 00:00 to 02:40 UTC, Europe/Berlin; hours in UTC, events):
#   DuckDB, date_trunc: 01:00 6, 02:00 3
#   DuckDB, time_bucket: 00:00 3, 01:00 3, 02:00 3
#   Polars, truncate: 00:00 3, 01:00 3, 02:00 3
#   pyarrow, floor_temporal: ArrowInvalid
#   pandas, floor: ValueError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from collections import Counter
from datetime import datetime, timedelta, timezone

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.compute

ZONE = "Europe/Berlin"
events = [datetime(2026, 10, 25, tzinfo=timezone.utc) + timedelta(minutes=20 * number) for number in range(9)]
seen = {}


def tell(name: str, hours: list[datetime]) -> None:
    counts = Counter(hour.astimezone(timezone.utc).strftime("%H:%M") for hour in hours)
    seen[name] = ", ".join(f"{hour} {count}" for hour, count in sorted(counts.items()))
    print(f"{name}: {seen[name]}")


base = duckdb.connect()
base.execute(f"SET timezone = '{ZONE}'")
base.execute("CREATE TABLE events (seen TIMESTAMPTZ)")
base.executemany("INSERT INTO events VALUES (?)", [(event,) for event in events])
for name, hour in (("date_trunc", "date_trunc('hour', seen)"), ("time_bucket", "time_bucket(INTERVAL 1 HOUR, seen)")):
    rows = base.execute(f"SELECT epoch({hour}) FROM events").fetchall()
    tell(f"DuckDB, {name}", [datetime.fromtimestamp(seconds, timezone.utc) for (seconds,) in rows])
tell("Polars, truncate", list(polars.Series(events).dt.convert_time_zone(ZONE).dt.truncate("1h")))
column = pyarrow.array(events, pyarrow.timestamp("us", ZONE))
index = pandas.DatetimeIndex(events).tz_convert(ZONE)
for name, floor in (
    ("pyarrow, floor_temporal", lambda: pyarrow.compute.floor_temporal(column, unit="hour")),
    ("pandas, floor", lambda: index.floor("h")),
):
    try:
        floor()
        seen[name] = "no error"
    except ValueError as exc:  # ArrowInvalid is one
        seen[name] = type(exc).__name__
    print(f"{name}: {seen[name]}")
even = "00:00 3, 01:00 3, 02:00 3"
assert list(seen.values()) == ["01:00 6, 02:00 3", even, even, "ArrowInvalid", "ValueError"], seen
PYTHON
