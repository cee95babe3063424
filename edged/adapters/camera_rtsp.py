"""A network camera over RTSP and TCP: decoded by the Jetson's video engine where cv2 has GStreamer, else by FFmpeg."""

from __future__ import annotations

from typing import Any

import cv2

from edged import config
from edged.adapters.gstreamer import Codec, Form, rtsp_pipeline
from edged.adapters.opencv import LiveStream, has_element, has_gstreamer, prepare
from edged.adapters.rtsp_describe import LIMIT_S, Address, codecs, describe
from edged.errors import CameraLost, ConfigError
from edged.ports import Stream
from edged.units import MS_PER_S

OPENING = 0.7  # share of `open_timeout_s` that FFmpeg may take: the rest is for asking the camera why not
ASKING = 0.2


class RtspCamera:
    """With `raw` frames are NV12 where GStreamer decodes them. Raises ConfigError for a format that is no codec."""

    def __init__(self, name: str, settings: config.Camera, *, raw: bool = False) -> None:
        if settings.format not in ("auto", "h264", "h265"):
            raise ConfigError(f"cameras.{name}.format = {settings.format}: want auto, h264 or h265 for RTSP")
        prepare()
        self._address = Address.of(settings)
        self._codec: Codec = settings.format
        self._form: Form = "nv12" if raw and has_gstreamer() else "bgr"
        self._open_s = settings.open_timeout_s
        self._stall_s = settings.stall_timeout_s

    def open(self) -> Stream:
        capture = cv2.VideoCapture()
        if not self._opened(capture):
            raise CameraLost(f"{self._address.shown}: {self._why_not()}")
        return LiveStream(capture, self._address.shown, self._form)

    def _why_not(self) -> str:
        """Raises CameraLost itself where the camera's own answer is the reason."""
        if self._address.url.startswith("rtsps:"):
            return "could not be opened over TLS; try rtsp:// to learn the reason"
        answer = describe(self._address, min(LIMIT_S, ASKING * self._open_s))
        offered = ", ".join(codecs(answer)) or "nothing"
        return (
            f"the camera describes a stream ({offered}) and gave no frame; "
            f"set it to H.264 or H.265, and look at its limit of viewers"
        )

    def _opened(self, capture: Any) -> bool:
        if has_gstreamer():
            if not self._address.url.startswith("rtsps:"):
                describe(self._address)  # first: an open that fails in GStreamer complains on stderr at length
            return bool(capture.open(self._pipeline(), cv2.CAP_GSTREAMER))
        return bool(capture.open(self._address.full, cv2.CAP_FFMPEG, self._limits()))

    def _pipeline(self) -> str:
        address = self._address
        return rtsp_pipeline(
            address.url,
            address.username,
            address.password,
            self._codec,
            timeout_s=self._open_s,
            hardware=has_element("nvv4l2decoder"),
            form=self._form,
        )

    def _limits(self) -> list[int]:
        """An open that gives up before our own clock does can say why; a read's time-out only frees its thread."""
        return [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPENING * self._open_s * MS_PER_S)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(2 * self._stall_s * MS_PER_S)),
            *(cv2.CAP_PROP_N_THREADS, 1),  # every further thread holds one more frame back
        ]
