"""The doctor's check of one camera that gives no frames."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.config.load import camera_from_source
from edged.device.doctor_camera import check_camera, cure


def test_camera_whose_port_is_closed_is_to_be_switched_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = check_camera("a", camera_from_source(f"rtsp://127.0.0.1:{taken.getsockname()[1]}/x"))
    assert (result.ok, result.do) == (False, cure("a", "refused"))


def test_file_that_is_not_there_is_to_be_named_anew(tmp_path: Path) -> None:
    result = check_camera("a", camera_from_source(str(tmp_path / "clip.mp4")))
    assert (result.ok, result.do) == (False, cure("a", "absent"))
