"""Runs in the test machine: what the V4L2 camera does on a real kernel device, written down as JSON.

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
    """The driver's time stamps beside our clock, ms."""
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
    """Frames as the driver writes them: what comes of each format, beside what OpenCV makes of it."""
    found: dict[str, Any] = {}
    for form in ("yuyv", "nv12", "gray"):
        wanted = settings(str(NODE), format=form, size=(320, 180))
        stream = V4l2Camera("cam", wanted).open()
        converted = stream.read(None).image.copy()
        stream.close()
        for memory in MEMORY_CODES:
            asked = WantedStream(pixel_format=form, size_wh=(320, 180), fps_hz=30, stall_s=5)
            own = RawStream(NODE, asked, memory, lambda error: CameraLost(str(error)))
            out = allocate_pages(image_shape((320, 180), form))
            shots = []
            for _ in range(8):
                shots.append(own.read(out))
                out = shots[-1].image if shots[-1].swapped else out
            own.close()
            apart = np.abs(to_bgr(shots[-1].image, form).astype(int) - converted)
            found[f"{form} {memory}"] = {
                "traded": shots[-1].swapped,
                "apart": float(np.median(apart)),
                "rising": all(a.captured_ns < b.captured_ns for a, b in pairwise(shots)),
                "on_pages": all(shot.image.ctypes.data % mmap.PAGESIZE == 0 for shot in shots),
            }
    return found


class Unwritable(RawStream):
    """Offers the driver memory that it must refuse, as one does that cannot write to pages here and there."""

    def _make_buffers(self) -> list[U8]:
        sealed = [mmap.mmap(-1, room.nbytes, prot=mmap.PROT_READ) for room in super()._make_buffers()]
        return [np.frombuffer(memory, np.uint8) for memory in sealed]


def refused(node: Path, kind: type[RawStream]) -> str:
    """Why a driver does not fill our memory."""
    asked = WantedStream(pixel_format="yuyv", size_wh=(320, 180), fps_hz=30, stall_s=5)
    try:
        kind(node, asked, "USERPTR", lambda error: CameraLost(f"lost: {error}")).close()
    except (UnsupportedMode, CameraLost) as why:
        return str(why)
    return ""


def in_place() -> dict[str, Any]:
    """The daemon's own way, by USERPTR and by MMAP: in how much memory frames live, and what a held one shows."""
    nodes = {"ours": NODE, "theirs": MMAP_ONLY}
    wanted = {name: settings(str(node), format="yuyv", size=(320, 180), fps=30) for name, node in nodes.items()}
    states: list[CameraState] = []
    intake = CameraHub({name: (one, make_camera(name, one, raw=True)) for name, one in wanted.items()}, states.append)
    intake.start()
    seen: dict[str, list[Frame]] = {name: [] for name in nodes}
    changing = set()
    while min(map(len, seen.values())) < 25:
        with intake.lease(LIMIT_S) as frame:
            if frame is None:
                raise TimeoutError
            seen[frame.camera].append(frame)
            changing.add(frame.image.tobytes())
    with ExitStack() as held:
        frames = [held.enter_context(intake.lease(LIMIT_S)) for _ in nodes]
        shown = [frame.image.tobytes() for frame in frames if frame is not None]
        (DRIVER / "unbind").write_text("vivid.0")
        until(lambda: all(any(s.camera == name and "no such device" in s.reason for s in states) for name in nodes))
        (DRIVER / "bind").write_text("vivid.0")
        until(lambda: all(intake.states[name].phase == "online" for name in nodes))
        captured = {name: intake.counts(name).captured for name in nodes}
        until(lambda: all(intake.counts(name).captured > captured[name] + 10 for name in nodes))
        kept = shown == [frame.image.tobytes() for frame in frames if frame is not None]
    ledgers = [intake.counts(name) for name in nodes]
    intake.close()
    return {
        "places": {name: len({frame.image.ctypes.data for frame in frames}) for name, frames in seen.items()},
        "shapes": sorted({(frame.pixel_format, frame.size_wh) for frames in seen.values() for frame in frames}),
        "different": len(changing),
        "held": len(shown),
        "kept": kept,
        "lost": [state.reason for state in states if state.phase == "lost" and "no such device" not in state.reason],
        "balanced": all(ledger.balanced for ledger in ledgers),
    }


def as_nobody() -> str:
    NODE.chmod(0o600)
    os.seteuid(NOBODY)
    said = refusal(lambda: query(NODE))
    os.seteuid(0)
    return said


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
    """A driver that gives no frames any more, and one that meets an error: what is said, and that it returns."""
    wanted = settings(str(NODE), format="yuyv", size=(320, 180), fps=30)
    states: list[CameraState] = []
    intake = CameraHub({"cam": (wanted, V4l2Camera("cam", wanted))}, states.append)
    intake.start()
    until(lambda: intake.states["cam"].phase == "online")
    set_control("Percentage of Dropped Buffers", 100)
    until(lambda: intake.states["cam"].phase == "lost")
    frozen = intake.states["cam"].reason
    set_control("Percentage of Dropped Buffers", 0)
    until(lambda: intake.states["cam"].phase == "online")
    before = len(states)
    set_control("Inject Fatal Streaming Error", 1)
    until(lambda: any(state.phase == "lost" for state in states[before:]))
    error = next(state.reason for state in states[before:] if state.phase == "lost")
    until(lambda: intake.states["cam"].phase == "online")
    intake.close()
    return {"frozen": frozen, "error": error}


def plugged(link: Path) -> dict[str, Any]:
    """Read at 30 Hz, unplug, plug in again, all through the intake and the lasting name."""
    wanted = settings(str(link), format="yuyv", size=(640, 360), fps=30)
    states: list[CameraState] = []
    intake = CameraHub({"cam": (wanted, V4l2Camera("cam", wanted))}, states.append)
    intake.start()
    frames: list[tuple[int, int]] = []
    ages_ms: list[float] = []
    while len(frames) < 45:
        with intake.lease(LIMIT_S) as frame:
            if frame is None:
                raise TimeoutError
            frames.append((frame.seq, frame.captured_ns))
            ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    busy = refusal(lambda: V4l2Camera("other", settings(str(NODE), size=(320, 180))).open().read(None))
    (DRIVER / "unbind").write_text("vivid.0")
    until(lambda: any("no such device" in state.reason for state in states))
    (DRIVER / "bind").write_text("vivid.0")
    until(lambda: intake.states["cam"].phase == "online")
    with intake.lease(LIMIT_S) as frame:
        returned = frame is not None
    ledger = intake.counts("cam")
    intake.close()
    return {
        "hz": (frames[-1][0] - frames[5][0]) / ((frames[-1][1] - frames[5][1]) / 1e9),
        "ages_ms": ages_ms,
        "busy": busy,
        "states": [(state.phase, state.reason) for state in states],
        "returned": returned,
        "balanced": ledger.balanced,
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
    found["refused"] = {"scattered": refused(NODE, Unwritable), "theirs": refused(MMAP_ONLY, RawStream)}
    found["broken"] = broken()
    lines.lines.clear()
    found |= plugged(link)
    found["log"] = lines.lines
    found["names"] = {link.name: str(link.resolve()) for link in Path("/dev/edged").glob("*")}
    found["forbidden"] = as_nobody()
    lines.lines = []
    found["in_place"] = in_place()
    found["in_place_log"] = lines.lines
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/video" in line]
    found["left"] = [*mapped, *holders(NODE), *holders(MMAP_ONLY)]
    found["uptime_s"] = float(Path("/proc/uptime").read_text().split()[0])
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
