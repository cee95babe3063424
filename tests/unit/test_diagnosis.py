"""The result of the diagnose command."""

from __future__ import annotations

from edged.device.diagnosis import OMITTED, bundle
from edged.messages.build import encode


def test_small_bundle_is_complete() -> None:
    body = bundle({"info": {"a": 1}}, ["opening the camera"])
    assert body == {"info": {"a": 1}, "log": ["opening the camera"]}


def test_large_bundle_loses_its_oldest_lines_first() -> None:
    body = bundle({"info": 1}, [f"line {number}" for number in range(100)], 300)
    assert body["info"] == 1
    assert body["log"][-1] == "line 99"
    assert len(encode(body)) <= 300


def test_large_bundle_without_lines_loses_its_largest_part() -> None:
    body = bundle({"info": "x" * 100, "configuration": "x" * 900}, [], 500)
    assert body == {"info": "x" * 100, "configuration": OMITTED, "log": []}
