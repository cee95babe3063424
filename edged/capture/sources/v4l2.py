"""A USB or other V4L2 camera. Says once what was granted of what was asked, and which name lasts."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edged.capture.camera import CapturedImage, Stream
from edged.capture.sources.opencv import configure_opencv, decode
from edged.capture.sources.v4l2_buffers import FOURCC_CODES, MEMORY_CODES, RawStream, UnsupportedMode, WantedStream
from edged.capture.sources.v4l2_device import busy_text, capture_time_ns, device_path, holders, query, stable_path
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError
from edged.frame import U8

log = logging.getLogger(__name__)

FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV", "nv12": "NV12", "gray": "GREY"}
FAST_FAILURE_S = 0.5  # a grab that fails sooner has not waited for a frame: it met an error
UDEV_DELAY_S = 0.2  # the driver speaks of an unplugged camera before udev takes its name away


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedFormat:
    """What the driver settled on."""

    fourcc: str
    size_wh: tuple[int, int]
    fps_hz: float
    method: str = "OpenCV"  # how frames come: into our memory (USERPTR), by one copy (MMAP), or converted

    def __str__(self) -> str:
        return f"{self.fourcc} {self.size_wh[0]}x{self.size_wh[1]} at {self.fps_hz:g} Hz by {self.method}"


class V4l2Camera:
    """With `raw` frames come as the driver writes them, where the format asked for is one that planes can read.

    Raises ConfigError for a format that V4L2 cameras are not read in.
    """

    def __init__(self, name: str, settings: CameraConfig, *, raw: bool = False) -> None:
        if settings.format != "auto" and settings.format not in FOURCC:
            wanted = ", ".join(("auto", *FOURCC))
            raise ConfigError(f"cameras.{name}.format = {settings.format}: want {wanted} for a V4L2 camera")
        configure_opencv()
        self._name = name
        self._node = device_path(settings.source)
        self._settings = settings
        self._raw = raw
        self._logged: GrantedFormat | None = None

    def open(self) -> Stream:
        query(self._node)
        if self._raw and (stream := self._open_raw()) is not None:
            return stream
        capture = cv2.VideoCapture()
        if not capture.open(str(self._node.resolve()), cv2.CAP_V4L2):
            reason = busy_text(self._node) if holders(self._node) else "the driver refuses to stream"
            raise CameraLost(f"{self._node}: {reason}")
        self._set_wanted(capture)
        self._log_granted(granted_format(capture))
        return V4l2Stream(capture, self._node, self._settings.stall_timeout_s)

    def _open_raw(self) -> RawStream | None:
        """None where the driver, or the format asked for, is none that can be read as it is."""
        form = next((form for form in FOURCC_CODES if form == self._settings.format), None)
        if form is None:
            return None
        wanted, refusals = self._settings, []
        asked = WantedStream(
            pixel_format=form, size_wh=wanted.size, fps_hz=wanted.fps or 0, stall_s=wanted.stall_timeout_s
        )
        for memory in MEMORY_CODES:
            try:
                stream = RawStream(self._node.resolve(), asked, memory, self._camera_lost)
            except UnsupportedMode as unfit:
                refusals.append(f"{memory}: {unfit}")
                continue
            self._log_granted(
                GrantedFormat(
                    fourcc=FOURCC[form], size_wh=stream.size_wh, fps_hz=round(stream.fps_hz, 2), method=memory
                )
            )
            return stream
        log.info("camera %s: %s goes through OpenCV (%s)", self._name, self._node, "; ".join(refusals))
        return None

    def _camera_lost(self, refusal: OSError) -> CameraLost:
        """What an error of the driver means, once udev has had time to say so too."""
        if refusal.errno == errno.EBUSY:
            return CameraLost(f"{self._node}: {busy_text(self._node)}")
        time.sleep(UDEV_DELAY_S)
        gone = not self._node.exists() or refusal.errno == errno.ENODEV
        return CameraLost(f"{self._node}: {'unplugged' if gone else 'the driver reports a streaming error'}")

    def _set_wanted(self, capture: Any) -> None:
        wanted = self._settings
        if wanted.format != "auto":
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FOURCC[wanted.format]))
        if wanted.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.size[1])
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)

    def _log_granted(self, got: GrantedFormat) -> None:
        """Once, and again only when the driver grants something else."""
        if got == self._logged:
            return
        if self._logged is None:
            self._log_stable_path()
        self._logged = got
        missed = differences(self._settings, got)
        if missed:
            log.warning("camera %s: %s grants %s, not %s", self._name, self._node, got, ", ".join(missed))
        else:
            log.info("camera %s: %s grants %s", self._name, self._node, got)

    def _log_stable_path(self) -> None:
        lasting = stable_path(self._node)
        if lasting is not None and not self._node.is_symlink():
            log.warning(
                "camera %s: %s may be another camera after the next boot; use %s", self._name, self._node, lasting
            )


def granted_format(capture: Any) -> GrantedFormat:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return GrantedFormat(
        fourcc=code.to_bytes(4, "little").decode("latin-1"),
        size_wh=(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
        fps_hz=round(capture.get(cv2.CAP_PROP_FPS), 2),
    )


def differences(wanted: CameraConfig, got: GrantedFormat) -> list[str]:
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

    def read(self, out: U8 | None) -> CapturedImage:
        self._grab()
        captured_ns = capture_time_ns(self._capture.get(cv2.CAP_PROP_POS_MSEC), time.monotonic_ns())
        return CapturedImage(image=decode(self._capture, out), captured_ns=captured_ns)

    def _grab(self) -> None:
        end_s = time.monotonic() + self._stall_s
        while True:
            tried_s = time.monotonic()
            if self._capture.grab():
                return
            at_once = time.monotonic() - tried_s < FAST_FAILURE_S
            if at_once:
                time.sleep(UDEV_DELAY_S)
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged")
            if at_once:
                raise CameraLost(f"{self._node}: the driver reports a streaming error")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again")

    def close(self) -> None:
        self._capture.release()
