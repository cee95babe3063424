"""Log lines for people, and their fields in the journal."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edged.runtime import log
from edged.runtime.log import RecentLines, journal_handler, set_up


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the root logger's handler writes; the handlers there before come back."""
    root, out = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield out
    root.handlers, root.level = before, level


def test_handler_with_a_format_of_its_own_keeps_it(written: io.StringIO) -> None:
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    set_up(handler)
    logging.getLogger("edged").warning("camera %s: lost", "barn")
    assert written.getvalue() == "<camera barn: lost>\n"


def test_handler_without_a_format_shows_the_time_and_nothing_below_the_level(written: io.StringIO) -> None:
    set_up(logging.StreamHandler(written), logging.WARNING)
    logging.getLogger("edged").info("not this")
    logging.getLogger("edged").warning("this")
    assert written.getvalue().endswith(" WARNING this\n")
    assert "not this" not in written.getvalue()


def test_recent_lines_are_the_last_ones_each_of_bounded_length() -> None:
    recent, logger = RecentLines(3), logging.Logger("edged.test")
    logger.addHandler(recent)
    for number in range(5):
        logger.warning("line %d", number)
    logger.warning("x" * 5000)
    assert [line[-14:] for line in recent.lines[:2]] == ["WARNING line 3", "WARNING line 4"]
    assert len(recent.lines[2]) == log.MAX_LINE_CHARS


# The journal


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What systemd-python is given."""
    found: list[dict[str, Any]] = []
    send = SimpleNamespace(send=lambda message, **fields: found.append({"MESSAGE": message, **fields}))
    monkeypatch.setattr(log, "journal", send)
    return found


def journal_of(stderr: Path) -> logging.Handler | None:
    with stderr.open("w") as out:
        at = os.fstat(out.fileno())
        return journal_handler({"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"}, out.fileno())


@pytest.fixture
def logger(entries: list[dict[str, Any]], tmp_path: Path) -> logging.Logger:
    logger, handler = logging.Logger("edged.test"), journal_of(tmp_path / "stderr")
    assert handler is not None
    logger.addHandler(handler)
    return logger


def test_entry_has_message_priority_and_place(logger: logging.Logger, entries: list[dict[str, Any]]) -> None:
    logger.warning("broker %s: gone", "mqtt.local")
    (entry,) = entries
    assert (entry["MESSAGE"], entry["PRIORITY"]) == ("broker mqtt.local: gone", "4")
    assert (entry["SYSLOG_IDENTIFIER"], entry["EDGED_LOGGER"]) == ("edged", "edged.test")
    assert entry["CODE_FILE"].endswith("test_log.py")


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ("camera %s: %s", "EDGED_CAMERA"),
        ("engine of %s: %s", "EDGED_MODEL"),
        ("engine of %s is quarantined: %s", "EDGED_MODEL"),
        ("command %s: %s", "EDGED_COMMAND"),
    ],
)
def test_entry_about_something_can_be_selected_by_its_name(
    logger: logging.Logger, entries: list[dict[str, Any]], template: str, field: str
) -> None:
    logger.info(template, "stall1", "lost")
    assert entries[0][field] == "stall1"


def test_entry_about_nothing_of_these_has_none_of_the_fields(
    logger: logging.Logger, entries: list[dict[str, Any]]
) -> None:
    logger.info("cameras: none")
    assert not {"EDGED_CAMERA", "EDGED_MODEL", "EDGED_COMMAND"} & entries[0].keys()


def test_traceback_is_part_of_its_entry(logger: logging.Logger, entries: list[dict[str, Any]]) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("camera %s: a bug", "barn")
    assert entries[0]["MESSAGE"].startswith("camera barn: a bug\nTraceback")
    assert entries[0]["MESSAGE"].endswith("ValueError: broken")


def test_journal_is_used_only_where_stderr_goes_there(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    assert journal_of(tmp_path / "stderr") is not None
    with (tmp_path / "stderr").open("w") as out:
        assert journal_handler({"JOURNAL_STREAM": "8:1"}, out.fileno()) is None
        assert journal_handler({}, out.fileno()) is None


def test_missing_systemd_python_is_logged_and_the_journal_unused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log, "journal", None)
    assert journal_of(tmp_path / "stderr") is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
