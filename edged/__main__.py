"""`edged`: the entry point. It knows the verbs by name and imports the module of the one asked for, nothing else."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

from edged import __version__

TYPE_CHECKING = False  # `typing` would take longer to import than the help to print
if TYPE_CHECKING:
    from typing import TextIO

VERBS = {
    "run": "Run the daemon: cameras in, keypoints and health out over MQTT.",
    "infer": "Run detection and pose on images, folders or videos; print the subjects of every frame.",
    "snapshot": "Write an annotated picture of one camera.",
    "cameras": "Find the cameras of this network, and the addresses of their streams.",
    "calibrate": "Set a stall's floor, feeder and water positions.",
    "barn": "Show a stall's day.",
    "watch": "Show poses and health from a broker, live.",
    "send": "Send a command to a device and print its answer.",
    "rollout": "Give a group of devices a version and settings, signed, in stages; stop when too many fail.",
    "doctor": "Check models, cameras, broker, permissions and clock; say how to fix what fails.",
    "hardware-report": "Measure this machine into one signed report. Stop the service first.",
    "check": "Check a configuration; print every problem as file:line, key, got, wanted.",
    "config": "Print the configuration's schema, its reference, or what is in effect.",
    "contract": "Print the MQTT contract: JSON Schemas, AsyncAPI document, reference.",
    "engines": "Build, verify and manage TensorRT engines.",
    "models": "Recommend, list, pull, verify and import models.",
    "provision": "Configure this machine from one file: name, broker, credentials, cameras.",
    "trust": "List or add the keys whose signatures on sticks and releases this machine takes.",
    "update": "Install the newest signed release from a folder, a stick or a mirror.",
}
USAGE = "usage: edged COMMAND [OPTIONS]   (`edged --help` lists them, `edged COMMAND --help` the options of one)"
OUTPUT_FAILED = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT)
DEFAULT_ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime reports to its maker otherwise, as soon as it is imported
    "PYDANTIC_DISABLE_PLUGINS": "1",  # looking for them reads the metadata of every installed package
}


def entry() -> None:
    """Run the process to its end; never returns.

    Without the interpreter's shutdown: a thread that wakes from a driver during it has C++ end the process with
    SIGABRT, and it takes a twentieth of a short command's time. Whatever must be closed has been closed.
    """
    _open_closed_streams()
    if sys.argv[1:2] == ["run"]:
        _ignore_reload()
    try:
        code = main()
    except SystemExit as end:  # argparse's, after help or bad usage
        code = int(str(end.code or 0))
    except OSError as error:
        if error.errno not in OUTPUT_FAILED:
            raise
        code = _unwritten(error)
    if logging := sys.modules.get("logging"):
        logging.shutdown()
    failed = _flush(sys.stdout)
    _flush(sys.stderr)
    os._exit(code or failed)


def _open_closed_streams() -> None:
    """A stream that the process began without is the null device: the next file opened would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115  as long as the process


def _ignore_reload() -> None:
    """SIGHUP asks the daemon to read its files again; it has not read them yet, and would end.

    Not on a terminal: there it says that the terminal was closed.
    """
    import signal  # noqa: PLC0415  which takes as long to import as a short command

    if not sys.stdin.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _flush(stream: TextIO) -> int:
    """1 when something could not be written that somebody wants."""
    try:
        if not stream.closed:
            stream.flush()
    except OSError as error:
        return _unwritten(error)
    return 0


def _unwritten(error: OSError) -> int:
    """The exit code when the output failed; 0: nobody reads it any more, as in `edged --help | head`."""
    if isinstance(error, BrokenPipeError):
        return 0
    try:
        print(f"edged: the output: {error.strerror}; free some space and run it again", file=sys.stderr)
    except (OSError, ValueError):  # full too, or closed
        return 1
    return 1


def main(argv: list[str] | None = None) -> int:
    """The exit code of one verb: 0 done, 1 failed, 2 bad configuration or usage."""
    words = sys.argv[1:] if argv is None else argv
    verb = words[0] if words else ""
    if verb in ("-h", "--help"):
        print(_help())
        return 0
    if verb == "--version":
        print(f"edged {__version__}")
        return 0
    if verb not in VERBS:
        problem = f"no command {verb!r}" if verb else "no command given"
        print(f"{USAGE}\nedged: {problem}; want one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    os.environ.update(DEFAULT_ENVIRONMENT)
    code: int = import_module("edged.commands").run_verb(verb, VERBS[verb], words[1:])
    return code


def _help() -> str:
    verbs = "\n".join(f"  {verb:{max(map(len, VERBS))}}  {summary}" for verb, summary in VERBS.items())
    return f"{USAGE}\n\nCameras in, keypoints and health out over MQTT.\n\n{verbs}\n\n  --version  Print the version."


if __name__ == "__main__":
    entry()
