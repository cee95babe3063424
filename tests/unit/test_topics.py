"""The table of topics, and the topics that a wildcard matches."""

from __future__ import annotations

import pytest

from edged.messages.topics import TOPIC_SPECS, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("cmd/+", "cmd/snapshot", True),
        ("cmd/+", "cmd/snapshot/result", False),
        ("cmd/+", "cmd", False),
        ("cmd/#", "cmd/snapshot/result", True),
        ("cmd/#", "cmd", True),
        ("cmd/#", "cam/a", False),
        ("+/a", "cam/a", True),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_pattern_matches_topic(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


def test_stored_messages_have_qos_1() -> None:
    assert all(spec.qos == 1 for spec in TOPIC_SPECS if spec.store_priority is not None)


def test_messages_with_qos_0_expire() -> None:
    assert all(spec.expiry_s is not None for spec in TOPIC_SPECS if spec.qos == 0)
