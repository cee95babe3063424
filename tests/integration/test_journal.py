"""What the journal receives, on a socket like its own."""

from __future__ import annotations

import io
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.runtime.journal import Journal, journal


@pytest.fixture
def received(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        journal.settimeout(5)
        yield journal


@pytest.fixture
def spare() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(received: socket.socket, spare: io.StringIO, tmp_path: Path) -> Iterator[logging.Logger]:
    log, handler = logging.Logger("edged.test"), Journal(logging.StreamHandler(spare), str(tmp_path / "socket"))
    log.addHandler(handler)
    yield log
    handler.close()


def fields(received: socket.socket) -> dict[str, str]:
    """One entry, taken apart as the journal does it."""
    rest, found = received.recv(1 << 16), {}
    while rest:
        line, _, rest = rest.partition(b"\n")
        name, plain, value = line.partition(b"=")
        if not plain:
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        found[name.decode()] = value.decode()
    return found


def test_an_entry_says_what_how_bad_and_where(log: logging.Logger, received: socket.socket) -> None:
    log.warning("broker %s: gone", "mqtt.local")
    entry = fields(received)
    assert (entry["MESSAGE"], entry["PRIORITY"]) == ("broker mqtt.local: gone", "4")
    assert (entry["SYSLOG_IDENTIFIER"], entry["EDGED_LOGGER"]) == ("edged", "edged.test")
    assert entry["CODE_FILE"].endswith("test_journal.py")


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ("camera %s: %s", "EDGED_CAMERA"),
        ("engine of %s: %s", "EDGED_MODEL"),
        ("engine of %s is put aside: %s", "EDGED_MODEL"),
        ("command %s: %s", "EDGED_COMMAND"),
    ],
)
def test_lines_about_something_can_be_asked_for(
    log: logging.Logger, received: socket.socket, template: str, field: str
) -> None:
    log.info(template, "stall1", "lost")
    assert fields(received)[field] == "stall1"


def test_lines_about_nothing_of_these_have_none_of_the_fields(log: logging.Logger, received: socket.socket) -> None:
    log.info("cameras: none")
    assert not {"EDGED_CAMERA", "EDGED_MODEL", "EDGED_COMMAND"} & fields(received).keys()


def test_a_traceback_is_one_entry(log: logging.Logger, received: socket.socket) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("camera %s: a bug", "barn")
    message = fields(received)["MESSAGE"]
    assert message.startswith("camera barn: a bug\nTraceback")
    assert message.endswith("ValueError: broken")


def test_without_the_journal_lines_go_to_stderr_with_their_priority(
    log: logging.Logger, spare: io.StringIO, tmp_path: Path
) -> None:
    (tmp_path / "socket").unlink()
    log.error("lost")
    assert spare.getvalue() == "<3>lost\n"


def test_a_line_too_long_for_the_journal_goes_to_stderr(log: logging.Logger, spare: io.StringIO) -> None:
    log.error("x" * 10_000_000)
    assert spare.getvalue().startswith("<3>xxx")


def test_the_journal_is_meant_only_where_stderr_goes_there(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stderr:
        at = os.fstat(stderr.fileno())
        there = journal({"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"}, logging.NullHandler(), stderr.fileno())
        inherited = journal({"JOURNAL_STREAM": "8:1"}, logging.NullHandler(), stderr.fileno())
        assert journal({}, logging.NullHandler(), stderr.fileno()) is None
    assert inherited is None
    assert there is not None
    there.close()
