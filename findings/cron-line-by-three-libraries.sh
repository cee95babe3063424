#!/bin/sh
# One line of cron, "at 02:30 each day", on the two nights on which clocks change in Europe, by libraries that are all given the
# zone: croniter 7.0.0 and APScheduler 3.11.3 let it run twice in October (a horse is fed twice), cronsim 2.8 and cron itself
# once. In March, when there is no 02:30, croniter and cronsim take 03:00, and APScheduler names a time that no clock shows,
# 02:30 in winter time, which is 03:30. "Every second hour" runs at 03:00 and at 04:00 then with croniter, and
# every 20 minutes from 02:00 to 02:40 is one run, none, and one. Tasks at 03:00 are right in all three.
#
# Seen (Europe/Berlin, runs before 06:00; croniter, cronsim, APScheduler; times with their distance from UTC):
#   25 October, 30 2 * * *: 02:30+2 02:30+1, 02:30+2, 02:30+2 02:30+1
#   29 March, 30 2 * * *: 03:00+2, 03:00+2, 02:30+1
#   29 March, 0 */2 * * *: 00:00+1 03:00+2 04:00+2, 00:00+1 04:00+2, 00:00+1 02:00+1 04:00+2
#   29 March, */20 2 * * *: 03:00+2, none, 02:00+1
#   25 October, 0 3 * * *: 03:00+1, 03:00+1, 03:00+1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check croniter==7.0.0 cronsim==2.8 APScheduler==3.11.3 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim

ZONE = ZoneInfo("Europe/Berlin")


def by_croniter(line, start):
    runs = croniter(line, start)
    while True:
        yield runs.get_next(datetime)


def by_apscheduler(line, start):
    trigger, last = CronTrigger.from_crontab(line, timezone=ZONE), None
    while True:
        last = start = trigger.get_next_fire_time(last, start)
        yield last


def runs(library, line, midnight):
    """Runs from midnight until 06:00."""
    end, told = midnight.replace(hour=6).astimezone(timezone.utc), []
    for run in library(line, midnight - timedelta(seconds=1)):
        if run.astimezone(timezone.utc) >= end:
            return " ".join(told) or "none"
        told.append(f"{run:%H:%M}+{run.utcoffset() // timedelta(hours=1)}")


for month, day, line, expected in (
    (10, 25, "30 2 * * *", "02:30+2 02:30+1, 02:30+2, 02:30+2 02:30+1"),
    (3, 29, "30 2 * * *", "03:00+2, 03:00+2, 02:30+1"),
    (3, 29, "0 */2 * * *", "00:00+1 03:00+2 04:00+2, 00:00+1 04:00+2, 00:00+1 02:00+1 04:00+2"),
    (3, 29, "*/20 2 * * *", "03:00+2, none, 02:00+1"),
    (10, 25, "0 3 * * *", "03:00+1, 03:00+1, 03:00+1"),
):
    midnight = datetime(2026, month, day, tzinfo=ZONE)
    seen = ", ".join(runs(library, line, midnight) for library in (by_croniter, CronSim, by_apscheduler))
    print(f"{midnight:%-d %B}, {line}: {seen}")
    assert seen == expected, expected
PYTHON
