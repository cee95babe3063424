"""Retained messages of cameras that are gone, and of a device id that the device had before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edged.messages.build import device_status
from edged.messages.bus import Request
from edged.messages.topics import Topic
from edged.mqtt.retained_cameras import RetainedCameras
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS

FILE = "cameras.json"
OLD = "/edged/box"
OF_OLD = [
    *(f"{OLD}/cam/{camera}/{kind}" for camera in ("stall", "yard") for kind in ("state", "daily", "status")),
    *(f"{OLD}/{kind}" for kind in ("info", "health", "switches", "reported", "status")),
]


class Box:
    """The daemons of one state directory, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.removed: list[str] = []

    def start(self, *cameras: str, root: str = "edged/box", connected: bool = True) -> RetainedCameras:
        self.bus = MemoryBus(lambda state: device_status(HEADERS, state))
        self.bus.connected = connected
        retained = RetainedCameras(self.bus, self.folder / FILE, root, self.removed.append)
        retained.keep(cameras)
        return retained

    def status(self, state: str) -> list[str]:
        """What is cleared when this comes on the old id's topic."""
        self.bus.messages.clear()
        payload = json.dumps({"state": state}).encode() if state else b""
        self.bus.receive(Request(path=f"{OLD}/status", payload=payload, retain=True))
        return self.cleared

    @property
    def cleared(self) -> list[str]:
        return [path for path, body in self.bus.messages if body == b""]

    @property
    def saved(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / FILE).read_text())
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_camera_that_went_while_no_daemon_ran_is_cleared_at_each_start_until_the_broker_has_it(box: Box) -> None:
    box.start("stall", "yard")
    assert box.cleared == []
    for connected in (False, False, True):
        box.start("stall", connected=connected)
        assert box.cleared == ["cam/yard/state", "cam/yard/daily", "cam/yard/status"]
    assert box.saved["cameras"] == ["stall"]
    box.start("stall")
    assert box.cleared == []


def test_camera_that_is_back_is_not_cleared(box: Box) -> None:
    box.start("stall", "yard")
    box.start("stall", connected=False)
    box.start("stall", "yard")
    assert (box.cleared, box.saved["cameras"]) == ([], ["stall", "yard"])


def test_reload_clears_each_camera_once_after_it_is_gone(box: Box) -> None:
    retained = box.start("stall", "yard")
    for cameras in (("stall",), ("stall",), ("stall", "yard"), ("stall",)):
        retained.keep(cameras)
    assert len(box.cleared) == 6


def test_former_device_id_is_cleared_once_when_nobody_is_online_there(box: Box) -> None:
    box.start("stall", "yard")
    for _ in range(2):  # it was not known yet what is there
        box.start("paddock", root="edged/other")
        assert box.cleared == []
    assert box.status("stopped") == OF_OLD
    assert (box.removed, box.saved) == (["box"], {"root": "edged/other", "cameras": ["paddock"], "former": {}})
    assert box.status("") == []
    box.start("paddock", root="edged/other")
    assert box.status("stopped") == []


def test_former_device_id_is_cleared_at_the_next_start_when_the_broker_has_gone(box: Box) -> None:
    box.start("stall", "yard")
    box.start("paddock", root="edged/other")
    box.bus.connected = False
    assert box.status("offline") == OF_OLD
    box.start("paddock", root="edged/other")
    assert box.status("offline") == OF_OLD


@pytest.mark.parametrize(("passed_s", "cleared"), [(100, OF_OLD), (200, [])], ids=["its own last will", "another one"])
def test_former_device_id_that_is_seen_online_is_another_device_unless_its_last_will_comes_soon(
    box: Box, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, passed_s: float, cleared: list[str]
) -> None:
    box.start("stall", "yard")
    box.start("stall", root="edged/other")
    assert box.status("online") == box.removed == []
    assert "a device is online as edged/box" in caplog.text
    assert box.saved["former"] == {OLD[1:]: ["stall", "yard"]}, "the bus's thread does not wait for the disk"
    for write in box.bus.calls:
        write()
    assert box.saved["former"] == {}, "forgotten: nothing of it is cleared at another start"
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + passed_s)
    assert box.status("online") == []
    assert box.status("offline") == cleared


def test_former_device_ids_may_be_cleared_while_others_are_asked_for(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in ("edged/first", "edged/second"):
        box.start("stall", root=root)

    def answer_at_once(bus: MemoryBus, topic: Topic, callback: Callable[[Request], None], **options: bool) -> None:
        callback(Request(path=topic.path, payload=b'{"state": "stopped"}', retain=True))

    monkeypatch.setattr(MemoryBus, "subscribe", answer_at_once)
    box.start("stall", root="edged/third")
    assert (box.removed, box.saved["former"]) == (["first", "second"], {})


def test_device_that_has_its_former_id_again_keeps_its_cameras(box: Box) -> None:
    box.start("stall", "yard")
    box.start("stall", root="edged/other")
    box.start("stall")
    assert box.cleared == ["cam/yard/state", "cam/yard/daily", "cam/yard/status"]
    assert box.saved["former"] == {"edged/other": ["stall"]}


def test_former_ids_are_bounded(box: Box) -> None:
    for number in range(9):
        box.start("stall", root=f"edged/box-{number}")
    assert list(box.saved["former"]) == [f"edged/box-{number}" for number in range(4, 8)]


@pytest.mark.parametrize(
    "saved",
    ['{"root": "edged/box", "cameras": ["stall", "a/#"]}', '{"root": "edged/+", "cameras": []}'],
    ids=["camera", "root"],
)
def test_name_that_no_camera_or_device_has_is_no_topic(box: Box, saved: str) -> None:
    (box.folder / FILE).write_text(saved)
    box.start("yard")
    assert box.cleared == []
    assert (box.folder / f"{FILE}.corrupt").exists()
