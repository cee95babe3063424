"""`edged barn`: what a stall's days were, as a picture and as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.behaviour.horse.day_log import StallDay

VERB = "barn"
SUMMARY = "Show a stall's day."


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    report = actions.add_parser("report", help="A day as a picture, or as JSON.")
    report.add_argument("camera", nargs="?", metavar="CAMERA", help="the stall's; may be left out when there is one")
    report.add_argument("--day", metavar="DATE", help="like 2027-03-01; left out: the latest")
    report.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    report.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>-<day>.png)")
    report.add_argument("--json", action="store_true", help="print the day instead")


def run(args: argparse.Namespace) -> int:
    from edged.drawing.day import draw_day  # noqa: PLC0415
    from edged.drawing.image_file import write_image  # noqa: PLC0415

    name, day = _find_day(args)
    if args.json:
        print(json.dumps(day.to_json(), indent=2))
        return 0
    path = args.out or Path(f"{name}-{day.date}.png")
    write_image(path, draw_day(name, day))
    print(path)
    return 0


def _find_day(args: argparse.Namespace) -> tuple[str, StallDay]:
    """The camera and its day. Raises `ConfigError` saying which there are."""
    from edged.behaviour.horse.stall_monitors import load_days  # noqa: PLC0415
    from edged.config.load import load  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    stalls = load_days(load(args.config).device.state_dir)
    name = args.camera or next(iter(stalls), None)
    if name not in stalls or (args.camera is None and len(stalls) > 1):
        got = f"no stall {args.camera!r}" if args.camera else "no CAMERA given"
        raise ConfigError(f"{got}; days are kept of: {', '.join(stalls) or 'none yet'}")
    days = {day.date: day for day in stalls[name]}
    date = args.day or max(days, default="")
    if date not in days:
        raise ConfigError(
            f"stall {name}: nothing is kept of {date or 'any day'}; there is: {', '.join(days) or 'none'}"
        )
    return name, days[date]
