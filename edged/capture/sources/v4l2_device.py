"""What the kernel reports about a video device: its kind, its stable path, its USB port, the processes that hold it.

ioctl, /proc and /sys only; used by v4l2.py before OpenCV opens the device.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from edged.capture.sources import videodev2
from edged.errors import CameraLost
from edged.units import NS_PER_MS, NS_PER_S

MAX_STAMP_AGE_NS = 10 * NS_PER_S  # an older driver time stamp is of another clock

BY_PATH = Path("/dev/v4l/by-path")
SYSFS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDevice:
    """What VIDIOC_QUERYCAP answers for one device node."""

    card: str
    capabilities: int  # of this node, V4L2_CAP_* bits

    @property
    def can_capture(self) -> bool:
        captures = videodev2.CAP_VIDEO_CAPTURE | videodev2.CAP_VIDEO_CAPTURE_MPLANE
        return bool(self.capabilities & captures) and bool(self.capabilities & videodev2.CAP_STREAMING)


def device_path(source: str) -> Path:
    """The device node of a camera's `source`, which is `0` or a path."""
    return Path(f"/dev/video{source}" if source.isdigit() else source)


def query(node: Path) -> VideoDevice:
    """What a device is. Raises CameraLost when it is absent, forbidden, busy, or does not capture."""
    try:
        device = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise _open_error(error, node) from error
    answer = videodev2.Capability()
    try:
        videodev2.call(device, videodev2.QUERYCAP, answer)
    except OSError as error:
        raise CameraLost(f"{node}: not a video device ({error.strerror})", "not_a_camera") from error
    finally:
        os.close(device)
    found = VideoDevice(card=answer.card.decode("utf-8", "replace"), capabilities=answer.device_caps)
    if not found.can_capture:
        text = f"{node}: this node of {found.card!r} gives no video; use its other /dev/video number"
        raise CameraLost(text, "not_a_camera")
    return found


def usb_port(source: str, sysfs: Path = SYSFS) -> str | None:
    """The USB port of the device behind a source, like `1-2.3`; None when it is unplugged or not on USB."""
    interface = (sysfs / device_path(source).resolve().name / "device").resolve().name
    found = re.fullmatch(r"(\d+-[\d.]+):\d+\.\d+", interface)
    return found[1] if found else None


def stable_path(node: Path, by_path: Path = BY_PATH) -> Path | None:
    """The link under /dev/v4l/by-path that belongs to the camera's socket; None when udev made none."""
    links = sorted(by_path.iterdir()) if by_path.is_dir() else []
    return next((link for link in links if link.resolve() == node.resolve()), None)


def holders(node: Path, proc: Path = Path("/proc")) -> list[str]:
    """Processes that hold a device open (this one included), as "name (pid)"; only those that we may inspect."""
    target = str(node.resolve())
    found = []
    for process in proc.iterdir():
        if process.name.isdigit() and target in _open_files(process):
            found.append(f"{_process_name(process)} ({process.name})")
    return sorted(found)


def _open_files(process: Path) -> set[str]:
    try:
        entries = list((process / "fd").iterdir())
    except OSError:  # ended meanwhile, or we may not inspect it
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


def _open_error(error: OSError, node: Path) -> CameraLost:
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            text, code = "no such device; is it plugged in? `ls /dev/v4l/by-path` shows what is", "absent"
        case errno.EACCES | errno.EPERM:
            text, code = "permission denied; add the daemon's user to the group `video`", "forbidden"
        case errno.EBUSY:
            text, code = busy_text(node), "busy"
        case _:
            text, code = str(error.strerror), "driver"
    return CameraLost(f"{node}: {text}", code)


def busy_text(node: Path) -> str:
    """An error text that names the processes holding the device."""
    return f"busy: held by {', '.join(holders(node)) or 'another process'}; stop that first"


def capture_time_ns(driver_ms: float, now_ns: int) -> int:
    """The driver's time stamp when it is on CLOCK_MONOTONIC and recent, else `now_ns`."""
    driver_ns = round(driver_ms * NS_PER_MS)
    return driver_ns if 0 <= now_ns - driver_ns < MAX_STAMP_AGE_NS else now_ns
