"""`edged cameras find` across a network: cameras in namespaces of their own, behind real interfaces."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from edged.__main__ import main
from edged.capture.onvif.discovery import discover
from edged.capture.sources.rtsp import RtspCamera
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from tests.support.onvif_camera import PASSWORD, USER

ROOT = Path(__file__).parents[2]
IPYCAM = Path(sys.prefix) / "ipycam"  # a virtual camera of others, whose parts we do not want here
VIRTUAL_CAMERA = """
import sys, threading
from ipycam import CameraConfig, IPCamera

host, user, password = sys.argv[1:]
IPCamera(CameraConfig(name="Barn", serial_number="PY-7", local_ip=host, username=user, password=password)).start()
print("ready", flush=True)
threading.Event().wait()
"""


class Network(NamedTuple):
    """A link between us and a namespace."""

    space: str
    outer: str  # interfaces
    inner: str
    ours: str
    theirs: str
    ours_6: str
    theirs_6: str


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def network(number: int) -> Iterator[Network]:
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("needs root, and ip (apt-get install iproute2)")
    four, six = f"10.213.{number}", f"fe80::{number}"
    space = f"edged-onvif-{number}"
    made = Network(space, f"{space}a", f"{space}b", f"{four}.1", f"{four}.2", f"{six}:1", f"{six}:2")
    try:
        ip("netns", "add", space)
        ip("link", "add", made.outer, "type", "veth", "peer", "name", made.inner, "netns", space)
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        for words, link, address, address_6 in (
            ((), made.outer, made.ours, made.ours_6),
            (("-n", space), made.inner, made.theirs, made.theirs_6),
        ):
            ip(*words, "link", "set", link, "addrgenmode", "none")
            ip(*words, "address", "add", f"{address}/30", "dev", link)
            ip(*words, "address", "add", f"{address_6}/64", "dev", link, "nodad")
            ip(*words, "link", "set", link, "up")
        yield made
    finally:
        ip("netns", "delete", space)


@contextmanager
def running(space: str, *command: str, **variables: str) -> Iterator[None]:
    whole = ["ip", "netns", "exec", space, sys.executable, *command]
    environment = {**os.environ, **variables}
    with subprocess.Popen(whole, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def camera() -> Iterator[Network]:
    with network(77) as made:
        hosts = made.theirs, f"{made.theirs_6}%{made.inner}"
        with running(made.space, "-m", "tests.support.onvif_camera", "SN-77", *hosts):
            yield made


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))


@pytest.mark.usefixtures("password")
def test_camera_of_the_network_is_found_with_its_streams(camera: Network, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cameras", "find", "--seconds", "1", "--user", USER]) == 0
    out = capsys.readouterr().out
    assert f"  {camera.theirs:15}  Door A  T1\n" in out
    assert f'[cameras.door-a]\nsource = "rtsp://{camera.theirs}/main"\nusername = "admin"\n' in out
    assert "serial number SN-77" in out


@pytest.mark.usefixtures("password")
def test_camera_is_found_by_ipv6_where_it_has_no_other_address(
    camera: Network, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours_6 = f"{camera.ours_6}%{camera.outer}"
    assert [found.host for found in discover(0.5, [camera.ours, ours_6])] == [camera.theirs]
    monkeypatch.setattr("edged.capture.onvif.discovery._addresses", lambda: [ours_6])
    assert main(["cameras", "find", "--seconds", "0.5", "--user", USER]) == 0
    assert f'source = "rtsp://[{camera.theirs_6}%{camera.outer}]/main"\n' in capsys.readouterr().out


def test_lost_camera_is_found_again_by_its_serial_number(camera: Network) -> None:
    values = {"source": f"rtsp://{camera.ours}:1/live", "username": USER, "password": PASSWORD, "onvif_serial": "SN-77"}
    lost = RtspCamera("a", CameraConfig.model_validate(values))
    with pytest.raises(CameraLost, match="refused"):
        lost.open()
    with pytest.raises(CameraLost, match=f"{camera.theirs}:1/…: it is here now"):
        lost.open()
    with pytest.raises(CameraLost, match=f"{camera.theirs}:1/…: connection refused"):
        lost.open()


@pytest.mark.usefixtures("password")
def test_camera_of_others_is_found_with_its_streams_and_by_its_serial_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not IPYCAM.exists():
        pytest.skip(f"needs ipycam in {IPYCAM}; make system installs it")
    with network(78) as made:
        login = (USER, PASSWORD)
        with running(made.space, "-c", VIRTUAL_CAMERA, made.theirs, *login, PYTHONPATH=str(IPYCAM)):
            assert main(["cameras", "find", "--seconds", "1", "--user", USER]) == 0
            out = capsys.readouterr().out
            assert f"# {made.theirs}: PythonCam VirtualCam-1, serial number PY-7" in out
            assert f'source = "rtsp://{made.theirs}:8554/video_main"' in out
            values = {"source": f"rtsp://{made.ours}:1/live", "username": USER, "password": PASSWORD}
            lost = RtspCamera("a", CameraConfig.model_validate({**values, "onvif_serial": "PY-7"}))
            for reason in ("refused", f"{made.theirs}:1/…: it is here now"):
                with pytest.raises(CameraLost, match=reason):
                    lost.open()
