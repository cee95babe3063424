"""A USB or other V4L2 camera. Says once what was granted of what was asked, and which name lasts."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edged import config
from edged.adapters.opencv import decode, prepare
from edged.adapters.v4l2_device import busy, holders, lasting_name, node_of, query, stamp_ns
from edged.adapters.v4l2_stream import CODES, MEMORIES, Asked, RawStream, Unfit
from edged.errors import CameraLost, ConfigError
from edged.frame import U8
from edged.ports import Shot, Stream

log = logging.getLogger(__name__)

FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV", "nv12": "NV12", "gray": "GREY"}
AT_ONCE_S = 0.5  # a grab that fails sooner has not waited for a frame: it met an error
UDEV_S = 0.2  # the driver speaks of an unplugged camera before udev takes its name away


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the driver settled on."""

    fourcc: str
    size_wh: tuple[int, int]
    fps_hz: float
    by: str = "OpenCV"  # how frames come: into our memory (USERPTR), by one copy (MMAP), or converted

    def __str__(self) -> str:
        return f"{self.fourcc} {self.size_wh[0]}x{self.size_wh[1]} at {self.fps_hz:g} Hz by {self.by}"


class V4l2Camera:
    """With `raw` frames come as the driver writes them, where the format asked for is one that planes can read.

    Raises ConfigError for a format that V4L2 cameras are not read in.
    """

    def __init__(self, name: str, settings: config.Camera, *, raw: bool = False) -> None:
        if settings.format != "auto" and settings.format not in FOURCC:
            wanted = ", ".join(("auto", *FOURCC))
            raise ConfigError(f"cameras.{name}.format = {settings.format}: want {wanted} for a V4L2 camera")
        prepare()
        self._name = name
        self._node = node_of(settings.source)
        self._settings = settings
        self._raw = raw
        self._said: Granted | None = None

    def open(self) -> Stream:
        query(self._node)
        if self._raw and (stream := self._open_raw()) is not None:
            return stream
        capture = cv2.VideoCapture()
        if not capture.open(str(self._node.resolve()), cv2.CAP_V4L2):
            reason = busy(self._node) if holders(self._node) else "the driver refuses to stream"
            raise CameraLost(f"{self._node}: {reason}")
        self._ask(capture)
        self._say(granted(capture))
        return V4l2Stream(capture, self._node, self._settings.stall_timeout_s)

    def _open_raw(self) -> RawStream | None:
        """None where the driver, or the format asked for, is none that can be read as it is."""
        form = next((form for form in CODES if form == self._settings.format), None)
        if form is None:
            return None
        wanted, refusals = self._settings, []
        asked = Asked(form=form, size_wh=wanted.size, fps_hz=wanted.fps or 0, stall_s=wanted.stall_timeout_s)
        for memory in MEMORIES:
            try:
                stream = RawStream(self._node.resolve(), asked, memory, self._lost)
            except Unfit as unfit:
                refusals.append(f"{memory}: {unfit}")
                continue
            self._say(Granted(fourcc=FOURCC[form], size_wh=stream.size_wh, fps_hz=round(stream.fps_hz, 2), by=memory))
            return stream
        log.info("camera %s: %s goes through OpenCV (%s)", self._name, self._node, "; ".join(refusals))
        return None

    def _lost(self, refusal: OSError) -> CameraLost:
        """What an error of the driver means, once udev has had time to say so too."""
        if refusal.errno == errno.EBUSY:
            return CameraLost(f"{self._node}: {busy(self._node)}")
        time.sleep(UDEV_S)
        gone = not self._node.exists() or refusal.errno == errno.ENODEV
        return CameraLost(f"{self._node}: {'unplugged' if gone else 'the driver reports a streaming error'}")

    def _ask(self, capture: Any) -> None:
        wanted = self._settings
        if wanted.format != "auto":
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FOURCC[wanted.format]))
        if wanted.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.size[1])
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)

    def _say(self, got: Granted) -> None:
        """Once, and again only when the driver grants something else."""
        if got == self._said:
            return
        if self._said is None:
            self._say_lasting_name()
        self._said = got
        missed = differences(self._settings, got)
        if missed:
            log.warning("camera %s: %s grants %s, not %s", self._name, self._node, got, ", ".join(missed))
        else:
            log.info("camera %s: %s grants %s", self._name, self._node, got)

    def _say_lasting_name(self) -> None:
        lasting = lasting_name(self._node)
        if lasting is not None and not self._node.is_symlink():
            log.warning(
                "camera %s: %s may be another camera after the next boot; use %s", self._name, self._node, lasting
            )


def granted(capture: Any) -> Granted:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return Granted(
        fourcc=code.to_bytes(4, "little").decode("latin-1"),
        size_wh=(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
        fps_hz=round(capture.get(cv2.CAP_PROP_FPS), 2),
    )


def differences(wanted: config.Camera, got: Granted) -> list[str]:
    """What was asked and not granted, as text."""
    missed = []
    if wanted.format != "auto" and FOURCC[wanted.format] != got.fourcc:
        missed.append(FOURCC[wanted.format])
    if wanted.size is not None and wanted.size != got.size_wh:
        missed.append("{}x{}".format(*wanted.size))
    if wanted.fps and abs(wanted.fps - got.fps_hz) > 0.02 * wanted.fps:
        missed.append(f"{wanted.fps:g} Hz")
    return missed


class V4l2Stream:
    def __init__(self, capture: Any, node: Path, stall_s: float) -> None:
        self._capture = capture
        self._node = node
        self._stall_s = stall_s

    def read(self, out: U8 | None) -> Shot:
        self._grab()
        captured_ns = stamp_ns(self._capture.get(cv2.CAP_PROP_POS_MSEC), time.monotonic_ns())
        return Shot(image=decode(self._capture, out), captured_ns=captured_ns)

    def _grab(self) -> None:
        end_s = time.monotonic() + self._stall_s
        while True:
            tried_s = time.monotonic()
            if self._capture.grab():
                return
            at_once = time.monotonic() - tried_s < AT_ONCE_S
            if at_once:
                time.sleep(UDEV_S)
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged")
            if at_once:
                raise CameraLost(f"{self._node}: the driver reports a streaming error")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again")

    def close(self) -> None:
        self._capture.release()
