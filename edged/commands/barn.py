"""`edged barn`: a stall's day, as a picture or as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.horse.stall_monitors import load_days
from edged.config.load import load
from edged.drawing.day import draw_day
from edged.drawing.image_file import write_image
from edged.errors import ConfigError


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    report = actions.add_parser("report", help="A day as a picture, or as JSON.")
    report.add_argument("camera", nargs="?", metavar="CAMERA", help="the stall's; may be left out when there is one")
    report.add_argument("--day", metavar="DATE", help="like 2027-03-01; left out: the latest")
    report.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    report.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>-<day>.png)")
    report.add_argument(
        "--json",
        action="store_true",
        help="print the day instead, as it is stored: seconds per hour under names in -s, counts under others",
    )


def run(args: argparse.Namespace) -> int:
    name, day = _find_day(args)
    if args.json:
        print(json.dumps(day.to_json(), indent=2))
        return 0
    path = args.out or Path(f"{name}-{day.date}.png")
    write_image(path, draw_day(name, day))
    print(path)
    return 0


def _find_day(args: argparse.Namespace) -> tuple[str, StallDay]:
    """The camera and its day. Raises `ConfigError` that lists the stalls, or the days, there are."""
    stalls = load_days(load(args.config).device.state_dir)
    name = args.camera or next(iter(stalls), None)
    if name not in stalls or (args.camera is None and len(stalls) > 1):
        got = f"no stall {args.camera!r}" if args.camera else "no CAMERA given"
        raise ConfigError(f"{got}; there are days of: {', '.join(stalls) or 'none yet'}", "no-stall")
    days = {day.date: day for day in stalls[name]}
    date = args.day or max(days, default="")
    if date not in days:
        known = ", ".join(days) or "none"
        raise ConfigError(f"stall {name}: there is no day {date or 'at all'}; there is: {known}", "no-day")
    return name, days[date]
