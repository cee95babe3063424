#!/bin/sh
# APScheduler 3.11.3: a board without a battery starts in 1970, or where it was switched off, and NTP sets its clock a minute
# later. The scheduler then computes each run that lies between, one after the other, and keeps all of them in a list before
# it drops them: coalesce=True ("run once instead of many times") comes after that. A job of each second costs 86400 computations
# and times for one day; for the 56 years since 1970 that is 1.8 thousand million, an hour or so of one core, and more
# memory than a board has. Meanwhile no job runs, the others neither. A cron job of each second does the same.
#
# Seen (clock ahead of the job by; computations of the next run, runs):
#   interval, an hour: 3600 and a few, 1
#   interval, a day: 86400 and a few, 1
#   cron, an hour: 3600 and a few, 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check APScheduler==3.11.3
"$folder/venv/bin/python" - <<'PYTHON'
import datetime
import threading

from apscheduler.events import EVENT_JOB_SUBMITTED
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)


def missed(kind: type, options: dict, ahead: datetime.timedelta) -> tuple[int, int]:
    """Computations and runs of a job whose next run lies behind the clock, as it does once the clock was set forward."""
    computed, seen, done = [0], [], threading.Event()

    class Counting(kind):
        def get_next_fire_time(self, previous, now):
            computed[0] += 1
            return super().get_next_fire_time(previous, now)

    scheduler = BackgroundScheduler(timezone=UTC)
    now = datetime.datetime.now(UTC).replace(microsecond=0)
    trigger = Counting(timezone=UTC, **options)
    due = {"next_run_time": now - ahead, "coalesce": True, "misfire_grace_time": None}
    scheduler.add_job(lambda: None, trigger, **due)

    def submitted(event) -> None:
        seen.append((computed[0], len(event.scheduled_run_times)))
        done.set()

    scheduler.add_listener(submitted, EVENT_JOB_SUBMITTED)
    scheduler.start()
    assert done.wait(300)
    scheduler.shutdown()
    return seen[0]


for name, kind, options, ahead, expected in (
    ("interval, an hour", IntervalTrigger, {"seconds": 1}, HOUR, 3600),
    ("interval, a day", IntervalTrigger, {"seconds": 1}, 24 * HOUR, 86400),
    ("cron, an hour", CronTrigger, {"second": "*"}, HOUR, 3600),
):
    computed, runs = missed(kind, options, ahead)
    print(f"{name}: {expected} and a few, {runs}")
    # a few more where the clock goes on while it computes
    assert expected <= computed < expected * 1.1 and runs == 1, expected
PYTHON
