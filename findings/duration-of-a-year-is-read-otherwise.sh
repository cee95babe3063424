#!/bin/sh
# pydantic 2.14.4 writes a timedelta of 365 days and more with years, of 365 days each: 400 days (a retention time) is
# "P1Y35D" in JSON. For ISO 8601 and its other readers a year is one of the calendar: isodate 0.7.2 (zeep's) makes no
# timedelta of it but a Duration, and where there is a 29 February in between 400 days are 401 (PostgreSQL 15 gives 401 as
# well). pydantic reads its own back right, and "P1M" as 30 days. Below 365 days all agree.
#
# Seen (JSON; what isodate makes of it, and days after 30 November 2026 and 2027):
#   364 days: P364D; timedelta, 364, 364
#   365 days: P1Y; Duration, 365, 366
#   400 days: P1Y35D; Duration, 400, 401
#   P1M by pydantic: 30 days
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.4 isodate==0.7.2
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timedelta

import isodate
from pydantic import TypeAdapter

adapter, seen = TypeAdapter(timedelta), []
for days in (364, 365, 400):
    text = adapter.dump_json(timedelta(days=days)).decode().strip('"')
    read = isodate.parse_duration(text)
    after = [(start + read - start).days for start in (datetime(2026, 11, 30), datetime(2027, 11, 30))]
    seen.append((text, type(read).__name__, after))
    print(f"{days} days: {text}; {type(read).__name__}, {after[0]}, {after[1]}")
    assert adapter.validate_python(text) == timedelta(days=days)
month = adapter.validate_python("P1M").days
print(f"P1M by pydantic: {month} days")
assert seen == [
    ("P364D", "timedelta", [364, 364]),
    ("P1Y", "Duration", [365, 366]),
    ("P1Y35D", "Duration", [400, 401]),
], seen
assert month == 30, month
PYTHON
