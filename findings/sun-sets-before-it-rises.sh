#!/bin/sh
# astral 3.2: sunrise and sunset of a date are those that fall on this date in `tzinfo`, which is UTC unless told. So
# `sunrise < now < sunset`, by which lamps, infra-red and rules of the night are switched, is right all year in Europe, where
# such code is written, and never true in Los Angeles, Sydney or Tokyo, where the sun sets before it rises on each date of
# UTC; in Denver only until 15 January, and the day after raises ValueError. With the local zone all are right; but in Delhi,
# Dhaka and Almaty one morning of each spring raises ValueError then, as if the sun did not rise: the sunrise that
# crosses midnight UTC falls between the two days that are looked at.
#
# Seen (2026; days on which sunset comes before sunrise and days with a ValueError, in UTC; the same in local time):
#   Berlin: 0 and 0; 0 and 0
#   Los Angeles: 365 and 0; 0 and 0
#   Denver: 286 and 1; 0 and 0
#   Sydney: 365 and 0; 0 and 0
#   Tokyo: 365 and 0; 0 and 0
#   Delhi: 51 and 0; 0 and 1
#   sunrise in Delhi: 16 May 05:30:16, 17 May ValueError, 18 May 05:29:11
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check astral==3.2 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from astral import Observer
from astral.sun import sunrise, sunset

DATES = [date(2026, 1, 1) + timedelta(days) for days in range(365)]


def counts(observer: Observer, **zone) -> tuple[int, int]:
    turned = errors = 0
    for day in DATES:
        try:
            turned += sunset(observer, day, **zone) < sunrise(observer, day, **zone)
        except ValueError:
            errors += 1
    return turned, errors


for name, latitude, longitude, zone, expected in (
    ("Berlin", 52.5, 13.4, "Europe/Berlin", (0, 0, 0, 0)),
    ("Los Angeles", 34.0, -118.2, "America/Los_Angeles", (365, 0, 0, 0)),
    ("Denver", 39.7, -105.0, "America/Denver", (286, 1, 0, 0)),
    ("Sydney", -33.9, 151.2, "Australia/Sydney", (365, 0, 0, 0)),
    ("Tokyo", 35.7, 139.7, "Asia/Tokyo", (365, 0, 0, 0)),
    ("Delhi", 28.6, 77.2, "Asia/Kolkata", (51, 0, 0, 1)),
):
    observer = Observer(latitude, longitude)
    seen = counts(observer) + counts(observer, tzinfo=ZoneInfo(zone))
    print("{}: {} and {}; {} and {}".format(name, *seen))
    assert seen == expected, expected
days = []
for day in DATES[135:138]:
    try:
        time = f"{sunrise(Observer(28.6, 77.2), day, tzinfo=ZoneInfo('Asia/Kolkata')):%H:%M:%S}"
    except ValueError as exc:
        time = type(exc).__name__
    days.append(f"{day.day} May {time}")
print("sunrise in Delhi:", ", ".join(days))
assert days == ["16 May 05:30:16", "17 May ValueError", "18 May 05:29:11"], days
PYTHON
