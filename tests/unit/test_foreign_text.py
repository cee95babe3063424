"""Text from other machines is cleaned where it enters."""

from __future__ import annotations

import pytest

from edged.commands.fleet_view import message_line
from edged.foreign_text import MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS, printable, topic_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Not Found", "Not Found", id="plain"),
        pytest.param("Stall Süd ✓", "Stall Süd ✓", id="non-ascii"),
        pytest.param("a\nb\tc", r"a\nb\tc", id="line-break"),
        pytest.param("\x1b[2J", r"\x1b[2J", id="terminal-escape"),
        pytest.param("\u202eabc", r"\u202eabc", id="right-to-left-override"),
        pytest.param("\ud800", r"\ud800", id="lone-surrogate"),
        pytest.param("", "", id="empty"),
    ],
)
def test_printable_text_has_no_control_characters(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_printable_text_is_bounded() -> None:
    assert printable("x" * 11, max_chars=10) == "x" * 10 + "…"
    assert printable("x" * 10, max_chars=10) == "x" * 10


def test_line_of_a_foreign_message_has_no_control_characters() -> None:
    line = message_line("edged/box/cam/a\x07/status", {"state": "lost", "reason": "no\x1b[31m route"})
    assert line == r"edged/box/cam/a\x07/status  state=lost reason=no\x1b[31m route"


@pytest.mark.parametrize(
    ("longest", "word"),
    [
        ("a" * MAX_TOPIC_BYTES, "bytes"),
        ("é" * (MAX_TOPIC_BYTES // 2), "bytes"),
        ("/".join("a" * MAX_TOPIC_LEVELS), "levels"),
    ],
)
def test_topic_is_bounded_in_bytes_and_levels(longest: str, word: str) -> None:
    assert topic_fault(longest) is None
    assert word in str(topic_fault(f"{longest}/a"))
