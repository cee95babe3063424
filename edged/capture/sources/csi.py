"""A CSI camera of the Jetson, through Argus and the ISP; the video engine turns the image upright."""

from __future__ import annotations

import cv2

from edged.capture.camera import Stream
from edged.capture.sources.gstreamer import OutputFormat, csi_pipeline
from edged.capture.sources.opencv import LiveStream, configure_opencv, has_element, has_gstreamer
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost


class CsiCamera:
    """Turns by itself: around it, no other turn is wanted. With `raw` its frames are NV12, as the ISP makes them."""

    def __init__(self, settings: CameraConfig, *, raw: bool = False) -> None:
        configure_opencv()
        self._display_name = settings.source
        sensor = int(settings.source.removeprefix("csi:"))
        self._pixel_format: OutputFormat = "nv12" if raw else "bgr"
        self._pipeline = csi_pipeline(sensor, settings.size, settings.fps, settings.rotate, self._pixel_format)

    def open(self) -> Stream:
        if not has_gstreamer():
            raise CameraLost(f"{self._display_name}: this cv2 has no GStreamer; use JetPack's own python3-opencv")
        if not has_element("nvarguscamerasrc"):
            raise CameraLost(f"{self._display_name}: GStreamer has no nvarguscamerasrc; CSI cameras need a Jetson")
        capture = cv2.VideoCapture()
        if not capture.open(self._pipeline, cv2.CAP_GSTREAMER):
            raise CameraLost(
                f"{self._display_name}: Argus gave no stream; is the sensor connected and in the device tree, its mode "
                f"({self._pipeline.split(' ! ')[1]}) one it has, and nvargus-daemon running?"
            )
        return LiveStream(capture, self._display_name, self._pixel_format)
