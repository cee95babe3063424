"""Command line arguments that several verbs share."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

SITE_FILES = "configuration file (default: /etc/edged and its conf.d)"


def seconds(text: str) -> float:
    """A duration that a timer can wait for. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 < value <= threading.TIMEOUT_MAX:  # false for NaN too
        raise argparse.ArgumentTypeError(f"{text}: want a number of seconds above 0")
    return value


def percent(text: str) -> float:
    """0 to 100. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 <= value <= 100:  # false for NaN too
        raise argparse.ArgumentTypeError(f"{text}: want 0 to 100 percent")
    return value


def config_file(parser: argparse.ArgumentParser, help_text: str = SITE_FILES) -> None:
    """`FILE` or `--config FILE`: the one way to name a configuration, as `args.config`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("config", nargs="?", type=Path, metavar="FILE", action=_StoreGiven, help=help_text)
    group.add_argument("--config", type=Path, metavar="FILE", help="the same")


class _StoreGiven(argparse.Action):
    """Store a positional argument only if it is given: its default would replace the option of the same name."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: Any = None
    ) -> None:
        if values is not None:
            setattr(namespace, self.dest, values)
