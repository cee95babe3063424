"""A network camera over RTSP and TCP: decoded by the Jetson's video engine where cv2 has GStreamer, else by FFmpeg."""

from __future__ import annotations

from typing import Any

import cv2

from edged.capture.camera import Stream
from edged.capture.sources.gstreamer import Codec, OutputFormat, rtsp_pipeline
from edged.capture.sources.opencv import LiveStream, configure_opencv, has_element, has_gstreamer
from edged.capture.sources.rtsp_describe import TIMEOUT_S, Address, codecs, describe
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError
from edged.units import MS_PER_S

# Shares of `open_timeout_s`: FFmpeg may take the first; the second is for a DESCRIBE that finds the reason.
OPEN_SHARE, DESCRIBE_SHARE = 0.7, 0.2


class RtspCamera:
    """With `raw`, frames are NV12 where GStreamer decodes them; else BGR. Raises ConfigError for a wrong `format`."""

    def __init__(self, name: str, settings: CameraConfig, *, raw: bool = False) -> None:
        if settings.format not in ("auto", "h264", "h265"):
            text = f"cameras.{name}.format = {settings.format}: want auto, h264 or h265 for RTSP"
            raise ConfigError(text, "format")
        configure_opencv()
        self._address = Address.from_settings(settings)
        self._codec: Codec = settings.format
        self._pixel_format: OutputFormat = "nv12" if raw and has_gstreamer() else "bgr"
        self._open_s = settings.open_timeout_s
        self._stall_s = settings.frame_timeout_s

    def open(self) -> Stream:
        capture = cv2.VideoCapture()
        if not self._open_capture(capture):
            raise CameraLost(f"{self._address.masked_url}: {self._failure_reason()}", "no_video")
        return LiveStream(capture, self._address.masked_url, self._pixel_format)

    def _failure_reason(self) -> str:
        """Why the stream did not open. Raises CameraLost itself when the camera's answer holds the reason."""
        if self._address.url.startswith("rtsps:"):
            return "could not be opened over TLS; try rtsp:// to learn the reason"
        answer = describe(self._address, min(TIMEOUT_S, DESCRIBE_SHARE * self._open_s))
        offered = ", ".join(codecs(answer)) or "nothing"
        return (
            f"the camera describes a stream ({offered}) and gave no frame; "
            f"set it to H.264 or H.265, and check its limit of viewers"
        )

    def _open_capture(self, capture: Any) -> bool:
        if has_gstreamer():
            if not self._address.url.startswith("rtsps:"):
                describe(self._address)  # first: GStreamer prints pages to stderr when an open fails
            return bool(capture.open(self._pipeline(), cv2.CAP_GSTREAMER))
        return bool(capture.open(self._address.url_with_credentials, cv2.CAP_FFMPEG, self._timeouts()))

    def _pipeline(self) -> str:
        address = self._address
        return rtsp_pipeline(
            address.url,
            address.username,
            address.password,
            self._codec,
            timeout_s=self._open_s,
            hardware=has_element("nvv4l2decoder"),
            pixel_format=self._pixel_format,
        )

    def _timeouts(self) -> list[int]:
        """Options for OpenCV. The open ends before `open_timeout_s` so that the reason can still be found."""
        return [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_SHARE * self._open_s * MS_PER_S)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(2 * self._stall_s * MS_PER_S)),  # only ends an abandoned thread
            *(cv2.CAP_PROP_N_THREADS, 1),  # each further thread delays the stream by one frame
        ]
