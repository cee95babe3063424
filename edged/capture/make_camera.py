"""A camera from its configuration: the one place that knows every kind of source."""

from __future__ import annotations

from edged.capture.camera import Camera
from edged.capture.sources.csi import CsiCamera
from edged.capture.sources.files import FileCamera
from edged.capture.sources.rotate_mask import RotateMaskCamera
from edged.capture.sources.rtsp import RtspCamera
from edged.capture.sources.v4l2 import V4l2Camera
from edged.config.tables.camera import CameraConfig


def make_camera(name: str, settings: CameraConfig, *, raw: bool = False) -> Camera:
    """The camera that `settings.source` names, with rotation and masks applied. `raw`: frames need not be BGR.

    Raises ConfigError for a setting that this kind of camera does not support.
    """
    raw = raw and not settings.masks  # masks are painted in BGR
    camera: Camera
    match settings.source_kind:
        case "csi":
            camera = CsiCamera(settings, raw=raw)  # rotates in hardware
            return camera if raw else RotateMaskCamera(camera, 0, settings.masks)
        case "files":
            camera = FileCamera(name, settings)
            raw = False
        case "rtsp":
            raw = raw and not settings.rotate
            camera = RtspCamera(name, settings, raw=raw)
        case "v4l2":
            raw = raw and not settings.rotate
            camera = V4l2Camera(name, settings, raw=raw)
    return camera if raw else RotateMaskCamera(camera, settings.rotate, settings.masks)
