"""What the kernel says of a video device, before cv2 tries it: what it is, its lasting name, who holds it.

ioctl and /proc only; used by camera_v4l2.py.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from edged.errors import CameraLost
from edged.units import NS_PER_MS, NS_PER_S

# Source: linux/videodev2.h
VIDIOC_QUERYCAP = 0x80685600
CAPABILITY = struct.Struct("16s32s32s3I12x")  # driver, card, bus_info, version, capabilities, device_caps
CAN_CAPTURE = 0x00000001 | 0x00001000  # single- and multi-planar video capture
CAN_STREAM = 0x04000000

MAX_STAMP_AGE_NS = 10 * NS_PER_S  # a driver's stamp beyond this is not of our clock

BY_PATH = Path("/dev/v4l/by-path")
SYSFS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    card: str
    capabilities: int

    @property
    def can_capture(self) -> bool:
        return bool(self.capabilities & CAN_CAPTURE) and bool(self.capabilities & CAN_STREAM)


def device_path(source: str) -> Path:
    """`0` and `/dev/…` as the path to open."""
    return Path(f"/dev/video{source}" if source.isdigit() else source)


def query(node: Path) -> Capability:
    """What a device is. Raises CameraLost saying whether it is absent, forbidden, busy or no camera."""
    try:
        device = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise CameraLost(f"{node}: {_open_error_text(error, node)}") from error
    try:
        answer = fcntl.ioctl(device, VIDIOC_QUERYCAP, bytes(CAPABILITY.size))
    except OSError as error:
        raise CameraLost(f"{node}: not a video device ({error.strerror})") from error
    finally:
        os.close(device)
    _, card, _, _, _, of_this_node = CAPABILITY.unpack(answer)
    found = Capability(card=card.rstrip(b"\0").decode("utf-8", "replace"), capabilities=of_this_node)
    if not found.can_capture:
        raise CameraLost(f"{node}: this node of {found.card!r} gives no video; use its other /dev/video number")
    return found


def usb_port(source: str, sysfs: Path = SYSFS) -> str | None:
    """`1-2.3` of the device behind a source, as long as it is plugged in; None where it is not on USB."""
    interface = (sysfs / device_path(source).resolve().name / "device").resolve().name
    found = re.fullmatch(r"(\d+-[\d.]+):\d+\.\d+", interface)
    return found[1] if found else None


def stable_path(node: Path, by_path: Path = BY_PATH) -> Path | None:
    """The name that follows the socket the camera is plugged into; None when udev made none."""
    links = sorted(by_path.iterdir()) if by_path.is_dir() else []
    return next((link for link in links if link.resolve() == node.resolve()), None)


def holders(node: Path, proc: Path = Path("/proc")) -> list[str]:
    """Processes that hold a device open, this one among them, as "name (pid)", as far as we may see."""
    target = str(node.resolve())
    found = []
    for process in proc.iterdir():
        if process.name.isdigit() and target in _open_files(process):
            found.append(f"{_process_name(process)} ({process.name})")
    return sorted(found)


def _open_files(process: Path) -> set[str]:
    try:
        entries = list((process / "fd").iterdir())
    except OSError:  # ended meanwhile, or not ours to look into
        return set()
    return {_link_target(entry) for entry in entries}


def _link_target(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:  # closed meanwhile
        return ""


def _process_name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"


def _open_error_text(error: OSError, node: Path) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return "no such device; is it plugged in? `ls /dev/v4l/by-path` shows what is"
        case errno.EACCES | errno.EPERM:
            return "permission denied; add the daemon's user to the group `video`"
        case errno.EBUSY:
            return busy_text(node)
        case _:
            return str(error.strerror)


def busy_text(node: Path) -> str:
    """Who is in the way."""
    return f"busy: held by {', '.join(holders(node)) or 'another process'}; stop that first"


def capture_time_ns(driver_ms: float, now_ns: int) -> int:
    """The driver's time stamp when it is on CLOCK_MONOTONIC, else now."""
    driver_ns = round(driver_ms * NS_PER_MS)
    return driver_ns if 0 <= now_ns - driver_ns < MAX_STAMP_AGE_NS else now_ns
