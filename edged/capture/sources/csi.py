"""A CSI camera of a Jetson, through Argus and the ISP; the video engine rotates the image."""

from __future__ import annotations

import cv2

from edged.capture.camera import Stream
from edged.capture.sources.gstreamer import OutputFormat, csi_pipeline
from edged.capture.sources.opencv import LiveStream, configure_opencv, has_element, has_gstreamer
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost


class CsiCamera:
    """Rotates in hardware, so its frames are upright. With `raw` they are NV12, as the ISP writes them; else BGR."""

    def __init__(self, settings: CameraConfig, *, raw: bool = False) -> None:
        configure_opencv()
        self._display_name = str(settings.source)
        sensor = int(self._display_name.removeprefix("csi:"))
        self._pixel_format: OutputFormat = "nv12" if raw else "bgr"
        self.pipeline = csi_pipeline(sensor, settings.size, settings.fps, settings.rotate, self._pixel_format)

    def open(self) -> Stream:
        if not has_gstreamer():
            text = f"{self._display_name}: this cv2 has no GStreamer; use JetPack's own python3-opencv"
            raise CameraLost(text, "no_gstreamer")
        if not has_element("nvarguscamerasrc"):
            text = f"{self._display_name}: GStreamer has no nvarguscamerasrc; CSI cameras need a Jetson"
            raise CameraLost(text, "no_argus")
        capture = cv2.VideoCapture()
        if not capture.open(self.pipeline, cv2.CAP_GSTREAMER):
            mode = self.pipeline.split(" ! ")[1]
            text = (
                f"{self._display_name}: Argus gave no stream; check that the sensor is connected and in the device "
                f"tree, that it has the mode {mode}, and that nvargus-daemon runs"
            )
            raise CameraLost(text, "driver")
        return LiveStream(capture, self._display_name, self._pixel_format)
