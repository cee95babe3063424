"""V4L2 without a device: ioctl numbers, time stamps, granted formats, stable paths, processes that hold a device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.capture.sources import videodev2
from edged.capture.sources.v4l2 import GrantedFormat, V4l2Camera, differences
from edged.capture.sources.v4l2_device import capture_time_ns, device_path, holders, query, stable_path, usb_port
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError
from tests.support.raising import raises_code

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
def test_driver_stamp_of_another_clock_is_replaced_by_now(driver_ms: float, want_ns: int) -> None:
    assert capture_time_ns(driver_ms, NOW_NS) == want_ns


def test_differences_list_the_settings_not_granted() -> None:
    got = GrantedFormat(fourcc="YUYV", size_wh=(640, 480), fps_hz=29.97)
    asked = CameraConfig(source="0", format="mjpg", size=(1280, 720), fps=30)
    assert differences(asked, got) == ["MJPG", "1280x720"]
    assert differences(CameraConfig(source="0"), got) == []
    assert differences(CameraConfig(source="0", fps=60), got) == ["60 Hz"]


def test_device_path_of_a_number_is_dev_video() -> None:
    assert device_path("2") == Path("/dev/video2")
    assert device_path("/dev/v4l/by-path/x") == Path("/dev/v4l/by-path/x")


@pytest.mark.parametrize(
    ("interface", "port"), [("usb1/1-2/1-2.3/1-2.3:1.0", "1-2.3"), ("usb2/2-1/2-1:1.0", "2-1"), ("vivid.0", None)]
)
def test_usb_port_follows_the_node_to_its_device(tmp_path: Path, interface: str, port: str | None) -> None:
    (tmp_path / "devices" / interface).mkdir(parents=True)
    (tmp_path / "class" / "video7").mkdir(parents=True)
    (tmp_path / "class" / "video7" / "device").symlink_to(tmp_path / "devices" / interface)
    (tmp_path / "by-path").symlink_to("video7")
    assert usb_port(str(tmp_path / "by-path"), tmp_path / "class") == port
    assert usb_port("9", tmp_path / "class") is None


def test_stable_path_is_the_link_to_the_device(tmp_path: Path) -> None:
    links = tmp_path / "by-path"
    links.mkdir()
    for name in ("video0", "video1"):
        (tmp_path / name).touch()
        (links / f"usb-{name}").symlink_to(tmp_path / name)
    assert stable_path(tmp_path / "video1", links) == links / "usb-video1"
    assert stable_path(tmp_path / "video9", links) is None
    assert stable_path(tmp_path / "video1", tmp_path / "absent") is None


def test_holders_name_this_process_while_it_holds_the_device(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert holders(device) == []
    with device.open():
        assert len(holders(device)) == 1
        assert holders(device)[0].endswith(f"({os.getpid()})")


def test_open_absent_device_is_lost() -> None:
    with raises_code(CameraLost, "absent"):
        V4l2Camera("cam", CameraConfig(source="99")).open()


def test_query_other_device_is_not_a_camera() -> None:
    with raises_code(CameraLost, "not_a_camera"):
        query(Path("/dev/null"))


def test_v4l2_camera_with_a_codec_as_format_is_a_config_error() -> None:
    with raises_code(ConfigError, "format"):
        V4l2Camera("cam", CameraConfig(source="0", format="h264"))


def test_ioctl_numbers_equal_the_kernels() -> None:
    """Source: linux/videodev2.h on a 64-bit machine."""
    assert videodev2.QUERYCAP == 0x80685600
    assert (videodev2.S_FMT, videodev2.G_PARM, videodev2.S_PARM) == (0xC0D05605, 0xC0CC5615, 0xC0CC5616)
    assert (videodev2.REQBUFS, videodev2.QUERYBUF) == (0xC0145608, 0xC0585609)
    assert (videodev2.QBUF, videodev2.DQBUF) == (0xC058560F, 0xC0585611)
    assert (videodev2.STREAMON, videodev2.STREAMOFF) == (0x40045612, 0x40045613)
