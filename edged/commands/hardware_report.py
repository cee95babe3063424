"""`edged hardware-report`: measurements that only this machine can give, in one signed report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from edged import __version__
from edged.commands.argument_types import seconds
from edged.config.load import load
from edged.errors import ConfigError
from edged.hardware_report import report
from edged.hardware_report.probe import Bench, ReportRow
from edged.hardware_report.runner import BY_NAME, PROBES, run_probe

DEFAULT_SECONDS = 60.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration with the models and cameras")
    parser.add_argument(
        "--out", type=Path, default=Path("hardware-report"), metavar="FOLDER", help="for the report (%(default)s)"
    )
    parser.add_argument("--operator", default="", metavar="NAME", help="who signs the report")
    parser.add_argument("--only", nargs="+", metavar="PROBE", help="run these probes only; `--list` names them")
    parser.add_argument(
        "--seconds", type=seconds, default=DEFAULT_SECONDS, help="of each measurement over time (%(default)g)"
    )
    parser.add_argument("--tensorrt", choices=("tensorrt", "tensorrt-rtx"), default="tensorrt", help="which one builds")
    parser.add_argument("--list", action="store_true", help="list the probes")
    parser.add_argument("--verify", type=Path, metavar="FOLDER", help="check that a report was not changed")
    parser.add_argument("--support", type=Path, nargs="+", metavar="FOLDER", help="print a support table of reports")


def run(args: argparse.Namespace) -> int:
    """0: nothing failed; 1: something did. Raises ConfigError and NotWritten."""
    if args.list:
        print("\n".join(f"{probe.name:12} {probe.question}" for probe in PROBES))
        return 0
    if args.verify:
        error = report.signature_error(args.verify)
        print(error or f"{args.verify}: unchanged since it was signed")
        return int(bool(error))
    if args.support:
        return _print_support(args.support)
    return _measure(args)


def _measure(args: argparse.Namespace) -> int:
    names = _probe_names(args.only)
    settings = load(args.config)
    report.make_folder(args.out)  # before minutes of work
    begun_s, at = time.monotonic(), datetime.now().astimezone().isoformat(timespec="seconds")
    with TemporaryDirectory(prefix="edged-hardware-report-") as folder:
        bench = Bench(settings=settings, folder=Path(folder), seconds=args.seconds, flavour=args.tensorrt)
        rows_by_probe = {name: _run_probe(name, bench, args.config) for name in names}
    operator, took_s = args.operator or "not signed", time.monotonic() - begun_s
    content = report.build_report(rows_by_probe, version=__version__, operator=operator, at=at, seconds=took_s)
    report.write(args.out, content)
    print(f"{args.out / report.MARKDOWN}, {args.out / report.JSON}")
    return int(any(row.state == "failed" for rows in rows_by_probe.values() for row in rows))


def _run_probe(name: str, bench: Bench, config: Path | None) -> list[ReportRow]:
    print(f"{name}: {BY_NAME[name].question}", flush=True)
    rows = run_probe(BY_NAME[name], bench, config)
    for row in rows:
        print(f"  {row.subject}: {'measured' if row.state == 'measured' else f'{row.state}: {row.why}'}", flush=True)
    return rows


def _probe_names(only: list[str] | None) -> list[str]:
    """The probes to run, in the table's order. Raises ConfigError for an unknown name."""
    if unknown := set(only or ()) - set(BY_NAME):
        text = f"--only {' '.join(sorted(unknown))}: no such probe; want some of {', '.join(BY_NAME)}"
        raise ConfigError(text, "probe")
    return [name for name in BY_NAME if only is None or name in only]


def _print_support(folders: list[Path]) -> int:
    for folder in folders:
        if error := report.signature_error(folder):
            print(error, file=sys.stderr)
            return 1
    print("\n".join(report.support_table(json.loads((folder / report.JSON).read_text()) for folder in folders)))
    return 0
