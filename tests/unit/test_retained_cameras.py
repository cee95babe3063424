"""Retained messages of cameras that are gone."""

from __future__ import annotations

from pathlib import Path

from edged.messages.build import device_status
from edged.mqtt.memory_bus import MemoryBus
from edged.mqtt.retained_cameras import RetainedCameras
from tests.support.messages import HEADERS


def cleared(folder: Path, *starts: tuple[str, ...], root: str = "edged/box") -> list[str]:
    """The topics that one daemon clears, with these cameras one after the other."""
    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    retained = RetainedCameras(bus, folder / "cameras.json", root)
    for cameras in starts:
        retained.keep(cameras)
    return [path for path, body in bus.messages if body == b""]


def test_camera_that_went_while_no_daemon_ran_is_cleared_at_each_start_until_it_is_back(tmp_path: Path) -> None:
    assert cleared(tmp_path, ("stall", "yard")) == []
    for _ in range(2):  # the broker may have been away the first time
        assert cleared(tmp_path, ("stall",)) == ["cam/yard/status", "cam/yard/state", "cam/yard/daily"]
    assert cleared(tmp_path, ("stall", "yard")) == []


def test_reload_clears_each_camera_once_after_it_is_gone(tmp_path: Path) -> None:
    both, one = ("stall", "yard"), ("stall",)
    assert len(cleared(tmp_path, both, one, one, both, one)) == 6


def test_cameras_of_another_device_id_are_left_alone(tmp_path: Path) -> None:
    cleared(tmp_path, ("stall",))
    assert cleared(tmp_path, ("yard",), root="edged/other") == []


def test_name_that_no_camera_has_is_no_topic(tmp_path: Path) -> None:
    (tmp_path / "cameras.json").write_text('{"root": "edged/box", "cameras": ["stall", "a/#"]}')
    assert cleared(tmp_path, ("yard",)) == []
    assert (tmp_path / "cameras.json.corrupt").exists()
