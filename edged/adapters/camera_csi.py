"""A CSI camera of the Jetson, through Argus and the ISP; the video engine turns the image upright."""

from __future__ import annotations

import cv2

from edged import config
from edged.adapters.gstreamer import Form, csi_pipeline
from edged.adapters.opencv import LiveStream, has_element, has_gstreamer, prepare
from edged.errors import CameraLost
from edged.ports import Stream


class CsiCamera:
    """Turns by itself: around it, no other turn is wanted. With `raw` its frames are NV12, as the ISP makes them."""

    def __init__(self, settings: config.Camera, *, raw: bool = False) -> None:
        prepare()
        self._shown = settings.source
        sensor = int(settings.source.removeprefix("csi:"))
        self._form: Form = "nv12" if raw else "bgr"
        self._pipeline = csi_pipeline(sensor, settings.size, settings.fps, settings.rotate, self._form)

    def open(self) -> Stream:
        if not has_gstreamer():
            raise CameraLost(f"{self._shown}: this cv2 has no GStreamer; use JetPack's own python3-opencv")
        if not has_element("nvarguscamerasrc"):
            raise CameraLost(f"{self._shown}: GStreamer has no nvarguscamerasrc; CSI cameras need a Jetson")
        capture = cv2.VideoCapture()
        if not capture.open(self._pipeline, cv2.CAP_GSTREAMER):
            raise CameraLost(
                f"{self._shown}: Argus gave no stream; is the sensor connected and in the device tree, its mode "
                f"({self._pipeline.split(' ! ')[1]}) one it has, and nvargus-daemon running?"
            )
        return LiveStream(capture, self._shown, self._form)
