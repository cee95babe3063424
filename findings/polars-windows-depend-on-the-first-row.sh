#!/bin/sh
# polars 2.1.0, group_by_dynamic(every="6h") of times with a zone, in Europe: windows begin at 0, 6, 12 and 18 o'clock until
# clocks go back, and from then on at 23, 5, 11 and 17, for as long as the table goes on; of a table that begins after that
# night they begin at 0, 6, 12 and 18. Only the first window is put on the clock, the others are counted on from it in exact
# hours. So the same readings of a December day are in other windows with another first row, and meals, nights and quarters
# of a day do not fit any more. dt.truncate("6h") of the same column is on the clock, and the two do not join. "1d" is right.
#
# Seen (readings each hour; hours at which the windows of 1 December 2026 begin):
#   group_by_dynamic, table from 1 October: 05, 11, 17, 23
#   group_by_dynamic, table from 1 November: 00, 06, 12, 18
#   dt.truncate, table from 1 October: 00, 06, 12, 18
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import datetime

import polars as pl

HOUR = datetime.timedelta(hours=1)


def readings(month: int) -> pl.DataFrame:
    """One each hour from the first of the month to the end of the year."""
    start, end = datetime.datetime(2026, month, 1) - HOUR, datetime.datetime(2026, 12, 31)
    times = pl.datetime_range(start, end, HOUR, time_zone="UTC", eager=True)
    return pl.DataFrame({"t": times.dt.convert_time_zone("Europe/Berlin")})


def hours(begins: pl.Series) -> str:
    day = begins.filter(begins.dt.date() == datetime.date(2026, 12, 1))
    return ", ".join(day.unique().sort().dt.strftime("%H").to_list())


def by_groups(table: pl.DataFrame) -> pl.Series:
    return table.group_by_dynamic("t", every="6h").agg(pl.len())["t"]


for name, begins, expected in (
    ("group_by_dynamic, table from 1 October", by_groups(readings(10)), "05, 11, 17, 23"),
    ("group_by_dynamic, table from 1 November", by_groups(readings(11)), "00, 06, 12, 18"),
    ("dt.truncate, table from 1 October", readings(10)["t"].dt.truncate("6h"), "00, 06, 12, 18"),
):
    seen = hours(begins)
    print(f"{name}: {seen}")
    assert seen == expected, expected
PYTHON
