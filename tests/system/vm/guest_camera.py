"""Runs in the test machine: the V4L2 camera on a real kernel device, its results written as JSON.

The assertions are in test_v4l2_vm.py, outside.
"""

from __future__ import annotations

import ctypes
import json
import logging
import mmap
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from ctypes import c_char, c_int32, c_uint32
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.capture.camera import CameraState
from edged.capture.frame_buffer import allocate_pages
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.capture.sources import videodev2
from edged.capture.sources.v4l2 import V4l2Camera
from edged.capture.sources.v4l2_buffers import MEMORY_CODES, RawStream, UnsupportedMode, WantedStream
from edged.capture.sources.v4l2_device import holders, query, stable_path
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from edged.frame import U8, Frame, image_shape
from edged.hardware_report.cameras import try_mode
from edged.inference.colour import to_bgr
from tests.support.lease import leased

NODE = Path("/dev/video0")
MMAP_ONLY = Path("/dev/video1")
DRIVER = Path("/sys/bus/platform/drivers/vivid")
LIMIT_S = 30.0
NEXT_CONTROL = 0x80000000  # V4L2_CTRL_FLAG_NEXT_CTRL
NOBODY = 65534


class QueryControl(ctypes.Structure):
    """Source: struct v4l2_queryctrl, linux/videodev2.h."""

    _fields_ = (
        ("id", c_uint32),
        ("type", c_uint32),
        ("name", c_char * 32),
        ("minimum", c_int32),
        ("maximum", c_int32),
        ("step", c_int32),
        ("default_value", c_int32),
        ("flags", c_uint32),
        ("reserved", c_uint32 * 2),
    )


class Control(ctypes.Structure):
    """Source: struct v4l2_control, linux/videodev2.h."""

    _fields_ = (("id", c_uint32), ("value", c_int32))


QUERYCTRL = videodev2.ioctl_number(videodev2.READ | videodev2.WRITE, 36, QueryControl)
S_CTRL = videodev2.ioctl_number(videodev2.READ | videodev2.WRITE, 28, Control)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def settings(source: str, **keys: object) -> CameraConfig:
    quick = {"frame_timeout_s": 3, "open_timeout_s": 20, "retry_max_s": 0.5}
    return CameraConfig.model_validate({"source": source, **quick, **keys})


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.02)


def refusal(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except CameraLost as lost:
        return str(lost)
    return ""


def stamps() -> dict[str, list[float]]:
    """The driver's time stamps and our clock at the same moments, in ms."""
    capture = cv2.VideoCapture(str(NODE), cv2.CAP_V4L2)
    driver, clock = [], []
    for _ in range(10):
        capture.grab()
        driver.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        clock.append(time.monotonic() * 1e3)
    capture.release()
    return {"driver_ms": driver, "clock_ms": clock}


def formats() -> dict[str, list[int]]:
    shapes = {}
    for name in ("yuyv", "nv12", "gray"):
        stream = V4l2Camera("cam", settings(str(NODE), format=name, size=(320, 180))).open()
        shapes[name] = list(stream.read(None).image.shape)
        stream.close()
    return shapes


def raw() -> dict[str, Any]:
    """Frames as the driver writes them, in every format, compared with OpenCV's."""
    found: dict[str, Any] = {}
    for pixel_format in ("yuyv", "nv12", "gray"):
        wanted = settings(str(NODE), format=pixel_format, size=(320, 180))
        stream = V4l2Camera("cam", wanted).open()
        converted = stream.read(None).image.copy()
        stream.close()
        for memory in MEMORY_CODES:
            wanted_stream = WantedStream(pixel_format=pixel_format, size_wh=(320, 180), fps_hz=30, stall_s=5)
            own = RawStream(NODE, wanted_stream, memory, lambda error: CameraLost(str(error)))
            out = allocate_pages(image_shape((320, 180), pixel_format))
            captures = []
            for _ in range(8):
                captures.append(own.read(out))
                out = captures[-1].image if captures[-1].swapped else out
            own.close()
            difference = np.abs(to_bgr(captures[-1].image, pixel_format).astype(int) - converted)
            found[f"{pixel_format} {memory}"] = {
                "swapped": captures[-1].swapped,
                "difference": float(np.median(difference)),
                "rising": all(a.captured_ns < b.captured_ns for a, b in pairwise(captures)),
                "on_pages": all(captured.image.ctypes.data % mmap.PAGESIZE == 0 for captured in captures),
            }
    return found


class Unwritable(RawStream):
    """Offers the driver read-only memory, which it must refuse."""

    def _make_buffers(self) -> list[U8]:
        read_only = [mmap.mmap(-1, buffer.nbytes, prot=mmap.PROT_READ) for buffer in super()._make_buffers()]
        return [np.frombuffer(memory, np.uint8) for memory in read_only]


def refused(node: Path, kind: type[RawStream]) -> str:
    """Why a driver does not write into our memory."""
    wanted_stream = WantedStream(pixel_format="yuyv", size_wh=(320, 180), fps_hz=30, stall_s=5)
    try:
        kind(node, wanted_stream, "USERPTR", lambda error: CameraLost(f"lost: {error}")).close()
    except (UnsupportedMode, CameraLost) as why:
        return str(why)
    return ""


def in_place() -> dict[str, Any]:
    """The daemon's way, by USERPTR and by MMAP: the number of buffers, and whether a leased frame is unchanged."""
    nodes = {"userptr": NODE, "mmap": MMAP_ONLY}
    wanted = {name: settings(str(node), format="yuyv", size=(320, 180), fps=30) for name, node in nodes.items()}
    states: list[CameraState] = []
    hub = CameraHub({name: (one, make_camera(name, one, raw=True)) for name, one in wanted.items()}, states.append)
    hub.start()
    seen: dict[str, list[Frame]] = {name: [] for name in nodes}
    changing = set()
    while min(map(len, seen.values())) < 25:
        with leased(hub, LIMIT_S) as frame:
            if frame is None:
                raise TimeoutError
            seen[frame.camera].append(frame)
            changing.add(frame.image.tobytes())
    with ExitStack() as stack:
        frames = [stack.enter_context(leased(hub, LIMIT_S)) for _ in nodes]
        before = [frame.image.tobytes() for frame in frames if frame is not None]
        (DRIVER / "unbind").write_text("vivid.0")
        until(lambda: all(any(s.camera == name and "no such device" in s.reason for s in states) for name in nodes))
        (DRIVER / "bind").write_text("vivid.0")
        until(lambda: all(hub.states[name].phase == "online" for name in nodes))
        captured = {name: hub.counts(name).captured for name in nodes}
        until(lambda: all(hub.counts(name).captured > captured[name] + 10 for name in nodes))
        unchanged = before == [frame.image.tobytes() for frame in frames if frame is not None]
    counts = [hub.counts(name) for name in nodes]
    hub.close()
    return {
        "buffers": {name: len({frame.image.ctypes.data for frame in frames}) for name, frames in seen.items()},
        "shapes": sorted({(frame.pixel_format, frame.size_wh) for frames in seen.values() for frame in frames}),
        "different": len(changing),
        "leased": len(before),
        "unchanged": unchanged,
        "lost": [state.reason for state in states if state.phase == "lost" and "no such device" not in state.reason],
        "balanced": all(camera.balanced for camera in counts),
    }


def without_permission() -> str:
    NODE.chmod(0o600)
    os.seteuid(NOBODY)
    reason = refusal(lambda: query(NODE))
    os.seteuid(0)
    return reason


def set_control(name: str, value: int) -> None:
    """Set a control of the driver: some of them inject faults. Raises OSError when there is no such control."""
    device = os.open(NODE, os.O_RDWR | os.O_NONBLOCK)
    control = QueryControl()
    while control.name.decode() != name:
        control.id |= NEXT_CONTROL
        videodev2.call(device, QUERYCTRL, control)
    videodev2.call(device, S_CTRL, Control(id=control.id, value=value))
    os.close(device)


def broken() -> dict[str, Any]:
    """The reasons of a driver without frames and of one with an error; both cameras return."""
    wanted = settings(str(NODE), format="yuyv", size=(320, 180), fps=30)
    states: list[CameraState] = []
    hub = CameraHub({"cam": (wanted, V4l2Camera("cam", wanted))}, states.append)
    hub.start()
    until(lambda: hub.states["cam"].phase == "online")
    set_control("Percentage of Dropped Buffers", 100)
    until(lambda: hub.states["cam"].phase == "lost")
    frozen = hub.states["cam"].reason
    set_control("Percentage of Dropped Buffers", 0)
    until(lambda: hub.states["cam"].phase == "online")
    before = len(states)
    set_control("Inject Fatal Streaming Error", 1)
    until(lambda: any(state.phase == "lost" for state in states[before:]))
    error = next(state.reason for state in states[before:] if state.phase == "lost")
    until(lambda: hub.states["cam"].phase == "online")
    hub.close()
    return {"frozen": frozen, "error": error}


def plugged(link: Path) -> dict[str, Any]:
    """Read at 10 Hz, unplug, plug in again, through the hub and the stable path."""
    wanted = settings(str(link), format="yuyv", size=(640, 360), fps=10)  # which a busy machine emulates in time
    states: list[CameraState] = []
    hub = CameraHub({"cam": (wanted, V4l2Camera("cam", wanted))}, states.append)
    hub.start()
    frames: list[tuple[int, int]] = []
    ages_ms: list[float] = []
    while len(frames) < 25:
        with leased(hub, LIMIT_S) as frame:
            if frame is None:
                raise TimeoutError
            frames.append((frame.seq, frame.captured_ns))
            ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    busy = refusal(lambda: V4l2Camera("other", settings(str(NODE), size=(320, 180))).open().read(None))
    (DRIVER / "unbind").write_text("vivid.0")
    until(lambda: any("no such device" in state.reason for state in states))
    (DRIVER / "bind").write_text("vivid.0")
    until(lambda: hub.states["cam"].phase == "online")
    with leased(hub, LIMIT_S) as frame:
        returned = frame is not None
    counts = hub.counts("cam")
    hub.close()
    return {
        "hz": (frames[-1][0] - frames[5][0]) / ((frames[-1][1] - frames[5][1]) / 1e9),
        "ages_ms": ages_ms,
        "busy": busy,
        "states": [(state.phase, state.reason) for state in states],
        "returned": returned,
        "balanced": counts.balanced,
    }


def main() -> None:
    lines = Lines()
    logging.getLogger("edged").addHandler(lines)
    logging.getLogger("edged").setLevel(logging.INFO)
    link = stable_path(NODE)
    if link is None:
        raise SystemExit("udev made no name under /dev/v4l/by-path")
    found: dict[str, Any] = {"link": str(link), "stamps": stamps(), "formats": formats()}
    lines.lines.clear()
    V4l2Camera("odd", settings("0", size=(333, 333))).open().close()
    found["odd_log"] = list(lines.lines)
    lines.lines.clear()
    found["modes"] = {memory: asdict(try_mode(NODE, "vivid", "yuyv", memory, 1.0)) for memory in MEMORY_CODES}
    found["raw"] = raw()
    found["refused"] = {"read_only": refused(NODE, Unwritable), "mmap_only": refused(MMAP_ONLY, RawStream)}
    found["broken"] = broken()
    lines.lines.clear()
    found |= plugged(link)
    found["log"] = lines.lines
    found["names"] = {link.name: str(link.resolve()) for link in Path("/dev/edged").glob("*")}
    found["forbidden"] = without_permission()
    lines.lines = []
    found["in_place"] = in_place()
    found["in_place_log"] = lines.lines
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/video" in line]
    found["left"] = [*mapped, *holders(NODE), *holders(MMAP_ONLY)]
    found["uptime_s"] = float(Path("/proc/uptime").read_text().split()[0])
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
