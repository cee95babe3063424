"""Log lines for the journal and for people."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from edged.runtime.log import JournalFormatter, set_up


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What the root logger's handler writes; the handlers there before come back."""
    root, out = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield out
    root.handlers, root.level = before, level


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("edged", level, "", 0, text, None, None)


@pytest.mark.parametrize(("level", "priority"), [(logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (35, 5)])
def test_the_journal_is_told_the_priority(level: int, priority: int) -> None:
    assert JournalFormatter("%(message)s").format(record(level, "lost")) == f"<{priority}>lost"


def test_every_line_of_a_record_has_its_priority() -> None:
    assert JournalFormatter("%(message)s").format(record(logging.ERROR, "one\ntwo")) == "<3>one\n<3>two"


def test_a_handler_with_a_form_of_its_own_keeps_it(said: io.StringIO) -> None:
    handler = logging.StreamHandler(said)
    handler.setFormatter(JournalFormatter("%(message)s"))
    set_up(handler)
    logging.getLogger("edged").warning("camera %s: lost", "barn")
    assert said.getvalue() == "<4>camera barn: lost\n"


def test_people_see_the_time_and_nothing_below_the_level(said: io.StringIO) -> None:
    set_up(logging.StreamHandler(said), logging.WARNING)
    logging.getLogger("edged").info("not this")
    logging.getLogger("edged").warning("this")
    assert said.getvalue().endswith(" WARNING this\n")
    assert "not this" not in said.getvalue()
