"""`edged config`: the configuration's schema, its annotated reference, and what is in effect."""

from __future__ import annotations

import argparse
import json

from edged.commands.argument_types import config_file
from edged.config.load import read_layers, validate
from edged.config.schema import schema
from edged.config.text import effective, reference


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("schema", help="JSON Schema (draft 2020-12), for editors")
    actions.add_parser("reference", help="every key with default, unit, bounds and meaning, as TOML")
    show = actions.add_parser("show", help="what is in effect, as TOML; secrets masked")
    config_file(show)
    show.add_argument("--origin", action="store_true", help="add to each key where it comes from")


def run(args: argparse.Namespace) -> int:
    print({"schema": _schema, "reference": _reference, "show": _show}[args.action](args), end="")
    return 0


def _schema(_: argparse.Namespace) -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _reference(_: argparse.Namespace) -> str:
    return reference()


def _show(args: argparse.Namespace) -> str:
    layers = read_layers(args.config)
    return effective(validate(layers), layers if args.origin else None)
