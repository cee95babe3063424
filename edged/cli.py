"""`edged`: one command, one module in `edged.commands` per verb.

Each module has VERB and SUMMARY, `arguments(parser)` and `run(args) -> exit code`; it imports what it needs
inside `run`, so that `edged --help` needs nothing installed.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from edged import __version__
from edged.errors import ConfigError, EdgedError
from engines.errors import EngineError

VERBS = (
    "run",
    "infer",
    "snapshot",
    "calibrate",
    "barn",
    "watch",
    "send",
    "doctor",
    "hardware-report",
    "check",
    "config",
    "contract",
    "engines",
    "models",
    "provision",
)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def entry() -> NoReturn:
    """The process from its first line to its last.

    A thread that hangs in a driver is left behind; should it wake while the interpreter is taken down, C++ would end
    the process with SIGABRT. So where one is left, nothing is taken down.
    """
    code = main()
    if all(thread is threading.main_thread() for thread in threading.enumerate()):
        sys.exit(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, full, or never there
            stream.flush()
    os._exit(code)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit code: 0 well, 1 failed, 2 bad configuration or usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="namereplace")  # a console that has no ✓ is told of a CHECK MARK
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else ONNX Runtime reports to its maker, from the very import on
    parser = argparse.ArgumentParser(prog="edged", description="Cameras in, keypoints and health out over MQTT.")
    parser.add_argument("--version", action="version", version=f"edged {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    modules = {verb: import_module(f"edged.commands.{verb.replace('-', '_')}") for verb in VERBS}
    for verb, module in modules.items():
        module.arguments(verbs.add_parser(verb, help=module.SUMMARY, description=module.SUMMARY))
    args = parser.parse_args(argv)
    try:
        return int(modules[args.verb].run(args))
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except (EdgedError, EngineError) as error:
        print(f"edged {args.verb}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `edged infer … | head`
        sys.stderr.close()
        return 0
    except OSError as error:  # `edged infer … > file`
        if error.errno not in DISK_FULL:
            raise
        where = error.filename or "the output"
        print(f"edged {args.verb}: {where}: {error.strerror}; make room there and run it again", file=sys.stderr)  # noqa: T201
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what it still holds would fail once more
        return 1
