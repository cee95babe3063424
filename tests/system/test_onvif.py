"""`edged cameras find` across a network: a camera in a namespace of its own, behind a real interface."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.__main__ import main
from edged.capture.sources.rtsp import RtspCamera
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from tests.support.onvif_camera import PASSWORD, USER

ROOT = Path(__file__).parents[2]
OURS, CAMERA = "10.213.77.1", "10.213.77.2"
SPACE, OUTER, INNER = "edged-onvif", "edged-onvif0", "edged-onvif1"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def camera() -> Iterator[None]:
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("needs root, and ip (apt-get install iproute2)")
    try:
        ip("netns", "add", SPACE)
        ip("link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", SPACE)
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "delete", SPACE], check=False, capture_output=True)
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        ip("address", "add", f"{OURS}/30", "dev", OUTER)
        ip("link", "set", OUTER, "up")
        ip("-n", SPACE, "address", "add", f"{CAMERA}/30", "dev", INNER)
        ip("-n", SPACE, "link", "set", INNER, "up")
        command = [sys.executable, "-m", "tests.support.onvif_camera", CAMERA, "SN-77"]
        with subprocess.Popen(["ip", "netns", "exec", SPACE, *command], cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
            process.kill()
    finally:
        ip("netns", "delete", SPACE)


@pytest.mark.usefixtures("camera")
def test_camera_of_the_network_is_found_with_its_streams(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["cameras", "find", "--seconds", "1", "--user", USER]) == 0
    out = capsys.readouterr().out
    assert f"  {CAMERA:15}  Door A  T1\n" in out
    assert f'[cameras.door-a]\nsource = "rtsp://{CAMERA}/main"\nusername = "admin"\n' in out
    assert "serial number SN-77" in out


@pytest.mark.usefixtures("camera")
def test_lost_camera_is_found_again_by_its_serial_number() -> None:
    values = {"source": f"rtsp://{OURS}:1/live", "username": USER, "password": PASSWORD, "onvif_serial": "SN-77"}
    lost = RtspCamera("a", CameraConfig.model_validate(values))
    with pytest.raises(CameraLost, match="refused"):
        lost.open()
    with pytest.raises(CameraLost, match=f"{CAMERA}:1/…: it is here now"):
        lost.open()
    with pytest.raises(CameraLost, match=f"{CAMERA}:1/…: connection refused"):
        lost.open()
