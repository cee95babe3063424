"""The table of channels, and which topics a wildcard means."""

from __future__ import annotations

import pytest

from edged.messages.topics import TOPIC_SPECS, matches


@pytest.mark.parametrize(
    ("wanted", "topic", "meant"),
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
def test_a_wildcard_means(wanted: str, topic: str, meant: bool) -> None:
    assert matches(wanted, topic) is meant


def test_what_survives_an_outage_is_acknowledged() -> None:
    assert all(channel.qos == 1 for channel in TOPIC_SPECS if channel.store_priority is not None)


def test_what_is_not_acknowledged_expires() -> None:
    assert all(channel.expiry_s is not None for channel in TOPIC_SPECS if channel.qos == 0)
