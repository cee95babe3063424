"""A USB or other V4L2 camera. Logs once which format the driver grants, and the stable path of the device."""

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
FAST_FAILURE_S = 0.5  # a grab that fails sooner did not time out: the driver reported an error
UDEV_DELAY_S = 0.2  # from the driver's error on an unplugged camera until udev has removed the device node
RATE_TOLERANCE = 0.02  # relative, before another rate is reported as not granted


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedFormat:
    """The format that the driver granted."""

    fourcc: str
    size_wh: tuple[int, int]
    fps_hz: float
    method: str = "OpenCV"  # USERPTR: into our memory; MMAP: by one copy; OpenCV: converted to BGR

    def __str__(self) -> str:
        return f"{self.fourcc} {self.size_wh[0]}x{self.size_wh[1]} at {self.fps_hz:g} Hz by {self.method}"


class V4l2Camera:
    """With `raw`, frames keep the driver's pixel format where the inference backends can read it; else they are BGR.

    Raises ConfigError for a `format` that is not one of V4L2.
    """

    def __init__(self, name: str, settings: CameraConfig, *, raw: bool = False) -> None:
        if settings.format != "auto" and settings.format not in FOURCC:
            wanted = ", ".join(("auto", *FOURCC))
            raise ConfigError(f"cameras.{name}.format = {settings.format}: want {wanted} for a V4L2 camera", "format")
        configure_opencv()
        self._name = name
        self._node = device_path(settings.source.reveal())
        self._settings = settings
        self._raw = raw
        self._logged: GrantedFormat | None = None

    def open(self) -> Stream:
        query(self._node)  # gives a better reason than OpenCV would
        if self._raw and (stream := self._open_raw()) is not None:
            return stream
        capture = cv2.VideoCapture()
        if not capture.open(str(self._node.resolve()), cv2.CAP_V4L2):
            if holders(self._node):
                raise CameraLost(f"{self._node}: {busy_text(self._node)}", "busy")
            raise CameraLost(f"{self._node}: the driver refuses to stream", "driver")
        self._set_wanted(capture)
        self._log_granted(granted_format(capture))
        return V4l2Stream(capture, self._node, self._settings.stall_s)

    def _open_raw(self) -> RawStream | None:
        """None when the driver or the configured format cannot be read unconverted."""
        settings, reasons = self._settings, []
        pixel_format = next((name for name in FOURCC_CODES if name == settings.format), None)
        if pixel_format is None:
            return None
        wanted = WantedStream(
            pixel_format=pixel_format,
            size_wh=settings.size,
            fps_hz=settings.fps or 0,
            stall_s=settings.stall_s,
        )
        for memory in MEMORY_CODES:
            try:
                stream = RawStream(self._node.resolve(), wanted, memory, self._camera_lost)
            except UnsupportedMode as unsupported:
                reasons.append(f"{memory}: {unsupported}")
                continue
            fourcc, fps_hz = FOURCC[pixel_format], round(stream.fps_hz, 2)
            self._log_granted(GrantedFormat(fourcc=fourcc, size_wh=stream.size_wh, fps_hz=fps_hz, method=memory))
            return stream
        log.info("camera %s: %s goes through OpenCV (%s)", self._name, self._node, "; ".join(reasons))
        return None

    def _camera_lost(self, error: OSError) -> CameraLost:
        """The meaning of a driver's error. Waits for udev, which removes the node of an unplugged camera later."""
        if error.errno == errno.EBUSY:
            return CameraLost(f"{self._node}: {busy_text(self._node)}", "busy")
        time.sleep(UDEV_DELAY_S)
        if not self._node.exists() or error.errno == errno.ENODEV:
            return CameraLost(f"{self._node}: unplugged", "unplugged")
        return CameraLost(f"{self._node}: the driver reports a streaming error", "driver")

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
        """Log it once, and again only when the driver grants another format."""
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
        link = stable_path(self._node)
        if link is not None and not self._node.is_symlink():
            log.warning("camera %s: %s may be another camera after the next boot; use %s", self._name, self._node, link)


def granted_format(capture: Any) -> GrantedFormat:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return GrantedFormat(
        fourcc=code.to_bytes(4, "little").decode("latin-1"),
        size_wh=(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
        fps_hz=round(capture.get(cv2.CAP_PROP_FPS), 2),
    )


def differences(wanted: CameraConfig, got: GrantedFormat) -> list[str]:
    """The configured format, size and rate that the driver did not grant, as text."""
    missed = []
    if wanted.format != "auto" and FOURCC[wanted.format] != got.fourcc:
        missed.append(FOURCC[wanted.format])
    if wanted.size is not None and wanted.size != got.size_wh:
        missed.append("{}x{}".format(*wanted.size))
    if wanted.fps and abs(wanted.fps - got.fps_hz) > RATE_TOLERANCE * wanted.fps:
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
            begun_s = time.monotonic()
            if self._capture.grab():
                return
            fast = time.monotonic() - begun_s < FAST_FAILURE_S
            if fast:
                time.sleep(UDEV_DELAY_S)
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged", "unplugged")
            if fast:
                raise CameraLost(f"{self._node}: the driver reports a streaming error", "driver")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again", "stalled")

    def close(self) -> None:
        self._capture.release()
