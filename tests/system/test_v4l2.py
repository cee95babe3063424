"""V4L2 without a device: time stamps, what was asked and granted, names, and who holds a device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.capture.sources.v4l2 import GrantedFormat, V4l2Camera, differences
from edged.capture.sources.v4l2_device import capture_time_ns, device_path, holders, query, stable_path, usb_port
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError

NOW_NS = 1_000_000_000_000


@pytest.mark.parametrize(
    ("driver_ms", "want_ns"),
    [
        pytest.param(999_980.5, 999_980_500_000, id="19.5 ms ago"),
        pytest.param(1_000_010.0, NOW_NS, id="ahead of the clock"),
        pytest.param(0.0, NOW_NS, id="none"),
        pytest.param(1_790_000_000_000.0, NOW_NS, id="wall clock"),
    ],
)
def test_a_driver_stamp_counts_when_it_is_of_our_clock(driver_ms: float, want_ns: int) -> None:
    assert capture_time_ns(driver_ms, NOW_NS) == want_ns


def test_only_what_was_asked_and_not_granted_differs() -> None:
    got = GrantedFormat(fourcc="YUYV", size_wh=(640, 480), fps_hz=29.97)
    asked = CameraConfig(source="0", format="mjpg", size=(1280, 720), fps=30)
    assert differences(asked, got) == ["MJPG", "1280x720"]
    assert differences(CameraConfig(source="0"), got) == []
    assert differences(CameraConfig(source="0", fps=60), got) == ["60 Hz"]


def test_a_number_is_a_device_and_a_path_stays() -> None:
    assert device_path("2") == Path("/dev/video2")
    assert device_path("/dev/v4l/by-path/x") == Path("/dev/v4l/by-path/x")


@pytest.mark.parametrize(
    ("interface", "port"), [("usb1/1-2/1-2.3/1-2.3:1.0", "1-2.3"), ("usb2/2-1/2-1:1.0", "2-1"), ("vivid.0", None)]
)
def test_the_usb_port_is_that_of_the_device_behind_the_node(tmp_path: Path, interface: str, port: str | None) -> None:
    (tmp_path / "devices" / interface).mkdir(parents=True)
    (tmp_path / "class" / "video7").mkdir(parents=True)
    (tmp_path / "class" / "video7" / "device").symlink_to(tmp_path / "devices" / interface)
    (tmp_path / "by-path").symlink_to("video7")
    assert usb_port(str(tmp_path / "by-path"), tmp_path / "class") == port
    assert usb_port("9", tmp_path / "class") is None


def test_the_lasting_name_is_the_link_that_leads_to_the_device(tmp_path: Path) -> None:
    links = tmp_path / "by-path"
    links.mkdir()
    for name in ("video0", "video1"):
        (tmp_path / name).touch()
        (links / f"usb-{name}").symlink_to(tmp_path / name)
    assert stable_path(tmp_path / "video1", links) == links / "usb-video1"
    assert stable_path(tmp_path / "video9", links) is None
    assert stable_path(tmp_path / "video1", tmp_path / "absent") is None


def test_who_holds_a_device_is_named(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert holders(device) == []
    with device.open():
        assert len(holders(device)) == 1
        assert holders(device)[0].endswith(f"({os.getpid()})")


def test_an_absent_device_says_what_to_look_for() -> None:
    with pytest.raises(CameraLost, match=r"video99: no such device; is it plugged in\?"):
        V4l2Camera("cam", CameraConfig(source="99")).open()


def test_what_is_no_video_device_is_told() -> None:
    with pytest.raises(CameraLost, match="/dev/null: not a video device"):
        query(Path("/dev/null"))


def test_a_codec_is_no_format_of_a_v4l2_camera() -> None:
    with pytest.raises(ConfigError, match=r"cameras\.cam\.format = h264: want auto, mjpg, yuyv, nv12, gray"):
        V4l2Camera("cam", CameraConfig(source="0", format="h264"))
