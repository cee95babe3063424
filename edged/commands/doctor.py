"""`edged doctor`: check everything, and say how to fix what fails."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from edged.commands.argument_types import config_file
from edged.device.doctor import CHECKS, QUICK_CHECKS, run_checks
from edged.secret_address import redact

MARKS = {True: "✓", False: "✗", None: "–"}
COLOURS = {True: "\033[32m", False: "\033[31m", None: "\033[2m"}
PLAIN = "\033[0m"


def arguments(parser: argparse.ArgumentParser) -> None:
    config_file(parser)
    parser.add_argument(
        "--quick", action="store_true", help="skip cameras, broker and models, which a running daemon uses"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    """0: nothing failed; 1: something did."""
    findings = []
    for finding in run_checks(args.config, QUICK_CHECKS if args.quick else CHECKS):
        findings.append(finding)
        if not args.json:
            print(redact(_line(finding.ok, finding.check, finding.message, finding.do)), flush=True)
    if args.json:
        print(redact(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)))
    failed = sum(finding.ok is False for finding in findings)
    if failed and not args.json:
        print(f"\n{failed} of {len(findings)} checks failed")
    return 1 if failed else 0


def _line(ok: bool | None, check: str, message: str, do: str) -> str:
    mark = f"{COLOURS[ok]}{MARKS[ok]}{PLAIN}" if sys.stdout.isatty() else MARKS[ok]
    message = message.replace("\n", "\n" + " " * 4)
    return f"{mark} {check}: {message}" + (f"\n    → {do}" if do else "")
