"""`edged contract`: the documents of the published messages, for programs and people that subscribe."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from edged.errors import ConfigError, NotWritten
from edged.messages.documents import BODIES, asyncapi, files, json_schema, reference
from edged.messages.examples import example_text


def arguments(parser: argparse.ArgumentParser) -> None:
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
    schema = forms.add_parser("schema", help="the JSON Schema of one message, or the names of all messages")
    schema.add_argument("name", nargs="?", metavar="MESSAGE")
    forms.add_parser("asyncapi", help="the AsyncAPI 3 document")
    forms.add_parser("reference", help="every topic and field, as Markdown")
    shown = forms.add_parser("example", help="one message of a kind, as published, or the names of all kinds")
    shown.add_argument("name", nargs="?", metavar="MESSAGE")
    write = forms.add_parser("write", help="all documents, into a directory")
    write.add_argument("directory", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """0. Raises ConfigError for an unknown message, NotWritten for a directory that cannot be written."""
    if args.form == "schema":
        print(_of_message(args, lambda name: json.dumps(json_schema(name), indent=2)))
    elif args.form == "example":
        print(_of_message(args, example_text).rstrip())
    elif args.form == "asyncapi":
        print(json.dumps(asyncapi(), indent=2))
    elif args.form == "reference":
        print(reference(), end="")
    else:
        _write(args.directory)
    return 0


def _of_message(args: argparse.Namespace, text: Callable[[str], str]) -> str:
    if args.name is None:
        return "\n".join(BODIES)
    if args.name not in BODIES:
        raise ConfigError(f"edged contract {args.form}: no message {args.name!r}; want one of {', '.join(BODIES)}")
    return text(args.name)


def _write(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files().items():
            (directory / name).write_text(text, "utf-8")
    except OSError as exc:
        raise NotWritten(f"{directory}: {exc.strerror}; name a directory that can be written") from exc
