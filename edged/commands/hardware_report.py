"""`edged hardware-report`: everything that only this machine can show, measured and signed for."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands.argument_types import seconds

if TYPE_CHECKING:
    from edged.hardware_report.probe import Bench, ReportRow

VERB = "hardware-report"
SUMMARY = (
    "Measure what only this machine can show, into one signed report. Stop the service first: it takes all there is."
)
DEFAULT_SECONDS = 60.0
QUICK_S = 3.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="models, engines and cameras to look at")
    parser.add_argument(
        "--out", type=Path, default=Path("hardware-report"), metavar="FOLDER", help="for the report (%(default)s)"
    )
    parser.add_argument("--operator", default="", metavar="NAME", help="who signs for it")
    parser.add_argument("--only", nargs="+", metavar="PROBE", help="these probes; `--list` has them all")
    parser.add_argument(
        "--seconds", type=seconds, default=DEFAULT_SECONDS, help="of each measurement over time (%(default)g)"
    )
    parser.add_argument("--tensorrt", choices=("tensorrt", "tensorrt-rtx"), default="tensorrt", help="which one builds")
    parser.add_argument("--list", action="store_true", help="what is asked")
    parser.add_argument("--verify", type=Path, metavar="FOLDER", help="whether a report is as it was signed")
    parser.add_argument("--support", type=Path, nargs="+", metavar="FOLDER", help="support table from these reports")


def run(args: argparse.Namespace) -> int:
    """0: nothing failed; 1: something did."""
    from edged.hardware_report import report  # noqa: PLC0415
    from edged.hardware_report.table import PROBES  # noqa: PLC0415

    if args.list:
        print("\n".join(f"{probe.name:12} {probe.question}" for probe in PROBES))
        return 0
    if args.verify:
        wrong = report.signature_error(args.verify)
        print(wrong or f"{args.verify}: as it was signed")
        return int(bool(wrong))
    if args.support:
        return _support(args.support)
    return _measure(args)


def _measure(args: argparse.Namespace) -> int:
    import time  # noqa: PLC0415
    from datetime import datetime  # noqa: PLC0415
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from edged import __version__  # noqa: PLC0415
    from edged.config.load import load  # noqa: PLC0415
    from edged.hardware_report import report  # noqa: PLC0415
    from edged.hardware_report.probe import Bench  # noqa: PLC0415

    names = _probe_names(args.only)
    settings = load(args.config)
    report.make_folder(args.out)  # before minutes of work
    begun_s, at = time.monotonic(), datetime.now().astimezone().isoformat(timespec="seconds")
    with TemporaryDirectory(prefix="edged-hardware-report-") as folder:
        bench = Bench(settings=settings, folder=Path(folder), seconds=args.seconds, flavour=args.tensorrt)
        found = {name: _run_probe(name, bench, args.config) for name in names}
    operator = args.operator or "nobody yet"
    took_s = time.monotonic() - begun_s
    written = report.build_report(found, version=__version__, operator=operator, at=at, seconds=took_s)
    report.write(args.out, written)
    print(f"{args.out / report.MARKDOWN}, {args.out / report.JSON}")
    return int(any(row.state == "failed" for rows in found.values() for row in rows))


def _run_probe(name: str, bench: Bench, config: Path | None) -> list[ReportRow]:
    from edged.hardware_report.ask import run_probe  # noqa: PLC0415
    from edged.hardware_report.table import BY_NAME  # noqa: PLC0415

    print(f"{name}: {BY_NAME[name].question}", flush=True)
    rows = run_probe(BY_NAME[name], bench, config)
    for row in rows:
        print(f"  {row.subject}: {'measured' if row.state == 'measured' else f'{row.state}: {row.why}'}", flush=True)
    return rows


def _probe_names(only: list[str] | None) -> list[str]:
    """In the table's order. Raises ConfigError."""
    from edged.errors import ConfigError  # noqa: PLC0415
    from edged.hardware_report.table import BY_NAME  # noqa: PLC0415

    if unknown := set(only or ()) - set(BY_NAME):
        raise ConfigError(f"--only {' '.join(sorted(unknown))}: no such probe; want some of {', '.join(BY_NAME)}")
    return [name for name in BY_NAME if only is None or name in only]


def _support(folders: list[Path]) -> int:
    from edged.hardware_report import report  # noqa: PLC0415

    for folder in folders:
        if wrong := report.signature_error(folder):
            print(wrong, file=sys.stderr)
            return 1
    print("\n".join(report.support_table(json.loads((folder / report.JSON).read_text()) for folder in folders)))
    return 0
