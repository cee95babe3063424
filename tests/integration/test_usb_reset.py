"""deploy/systemd/usb-reset, on a USB bus made of files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "systemd" / "usb-reset"


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """A camera at 1-2.3, with its microphone, and a keyboard at 1-4."""
    for interface, number in (("1-2.3:1.0", "0e"), ("1-2.3:1.2", "01"), ("1-4:1.0", "03")):
        (tmp_path / interface).mkdir()
        (tmp_path / interface / "bInterfaceClass").write_text(f"{number}\n")
    for port in ("1-2.3", "1-4"):
        (tmp_path / port).mkdir()
        (tmp_path / port / "authorized").write_text("untouched")
    return tmp_path


def reset(bus: Path, *ports: str) -> str:
    requests = bus / "requests"
    requests.mkdir()
    for port in ports:
        (requests / f"reset-usb-{port}").touch()
    done = subprocess.run([SCRIPT, requests, bus], capture_output=True, text=True, check=True, timeout=30)
    assert list(requests.iterdir()) == []
    return done.stdout + done.stderr


def test_reset_of_a_camera_switches_it_off_and_on(bus: Path) -> None:
    assert reset(bus, "1-2.3") == "camera at USB port 1-2.3: off and on\n"
    assert (bus / "1-2.3" / "authorized").read_text() == "1\n"


def test_reset_of_another_device_is_rejected(bus: Path) -> None:
    assert reset(bus, "1-4") == "no camera at USB port 1-4\n"
    assert (bus / "1-4" / "authorized").read_text() == "untouched"


@pytest.mark.parametrize("port", ["..", "1-2.3:1.0", "*", "-", "1 -rf", ""])
def test_reset_of_an_invalid_port_is_rejected(bus: Path, port: str) -> None:
    assert reset(bus, port).startswith("no USB port")
    assert (bus / "1-2.3" / "authorized").read_text() == "untouched"


def test_reset_without_requests_does_nothing(bus: Path) -> None:
    reset(bus)
    assert (bus / "1-2.3" / "authorized").read_text() == "untouched"
