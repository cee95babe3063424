"""`edged contract`: what is published, for programs and people that subscribe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

VERB = "contract"
SUMMARY = "Print the MQTT contract: JSON Schemas, AsyncAPI document, reference."


def arguments(parser: argparse.ArgumentParser) -> None:
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
    one = forms.add_parser("schema", help="the JSON Schema of one message, or their names")
    one.add_argument("name", nargs="?", metavar="MESSAGE")
    forms.add_parser("asyncapi", help="the AsyncAPI 3 document")
    forms.add_parser("reference", help="every topic and field, as Markdown")
    write = forms.add_parser("write", help="all of them into a directory")
    write.add_argument("directory", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    from edged.errors import ConfigError, NotWritten  # noqa: PLC0415
    from edged.messages.documents import BODIES, asyncapi, files, json_schema, reference  # noqa: PLC0415

    if args.form == "asyncapi":
        print(json.dumps(asyncapi(), indent=2))
    elif args.form == "reference":
        print(reference(), end="")
    elif args.form == "write":
        try:
            args.directory.mkdir(parents=True, exist_ok=True)
            for name, text in files().items():
                (args.directory / name).write_text(text, "utf-8")
        except OSError as exc:
            raise NotWritten(f"{args.directory}: {exc.strerror}; name a directory that can be written") from exc
    elif args.name is None:
        print("\n".join(BODIES))
    elif args.name in BODIES:
        print(json.dumps(json_schema(args.name), indent=2))
    else:
        raise ConfigError(f"edged contract schema: no message {args.name!r}; want one of {', '.join(BODIES)}")
    return 0
