#!/bin/sh
# pyarrow 26.0.1: floor_temporal, ceil_temporal and round_temporal of times with a zone go by the clock on the wall and back. The
# times are exact moments, and floor to the hour or the second is clear for each, and yet one reading of the hour that comes
# twice makes the whole column fail: "Local time is ambiguous". In spring ceil to the hour fails after 01:00, as 02:00 does
# not exist. The job of each day that puts readings into hours fails two days of the year, or with each table that holds such a night.
# polars 2.1.0 takes them. There is no option; floor in UTC (cast first) is right where a zone is off by whole hours.
#
# Seen (Europe/Berlin, a year of readings each 10 minutes; how many of them fail, one by one):
#   floor to 1 second: 12, to 10 minutes: 12, to 1 hour: 12
#   ceil to 1 second: 12, to 10 minutes: 12, to 1 hour: 17
#   the whole year, floor to 1 hour: Local time is ambiguous: 2026-10-25 02:00:00 is ambiguous.
#   polars: 8760 hours of the year
set -eu
test -e /usr/share/zoneinfo/Europe/Berlin || {
    echo "needs the time zones: apt-get install tzdata" >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import datetime

import polars
import pyarrow as pa
import pyarrow.compute as pc

ZONE = "Europe/Berlin"
START = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
YEAR = range(START, START + 365 * 86400, 600)
NIGHTS = [second for second in YEAR if datetime.datetime.fromtimestamp(second, datetime.timezone.utc).day in (25, 28, 29)]


def failures(rounded, number: int, unit: str) -> int:
    """How many of the readings cannot be rounded; looked for in the nights of the change and their neighbours."""
    failed = 0
    for second in NIGHTS:
        try:
            rounded(pa.scalar(second, pa.timestamp("s", ZONE)), number, unit)
        except pa.ArrowInvalid:
            failed += 1
    return failed


for name, rounded, expected in (
    ("floor", pc.floor_temporal, (12, 12, 12)),
    ("ceil", pc.ceil_temporal, (12, 12, 17)),
):
    seen = tuple(failures(rounded, *step) for step in ((1, "second"), (10, "minute"), (1, "hour")))
    print(f"{name} to 1 second: {seen[0]}, to 10 minutes: {seen[1]}, to 1 hour: {seen[2]}")
    assert seen == expected, expected
try:
    pc.floor_temporal(pa.array(YEAR, pa.timestamp("s", ZONE)), 1, "hour")
    raise SystemExit("no error")
except pa.ArrowInvalid as error:
    told = str(error).splitlines()[0].split("  ")[0].strip()
    print("the whole year, floor to 1 hour:", told)
    assert told == "Local time is ambiguous: 2026-10-25 02:00:00 is ambiguous.", told
series = polars.Series(YEAR) * 1000
hours = series.cast(polars.Datetime("ms", "UTC")).dt.convert_time_zone(ZONE).dt.truncate("1h").n_unique()
print(f"polars: {hours} hours of the year")
assert hours == 365 * 24
PYTHON
