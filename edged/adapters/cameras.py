"""The one place that turns a camera's configuration into a camera."""

from __future__ import annotations

from edged import config
from edged.adapters.camera_csi import CsiCamera
from edged.adapters.camera_files import FileCamera
from edged.adapters.camera_rtsp import RtspCamera
from edged.adapters.camera_upright import RotateMaskCamera
from edged.adapters.camera_v4l2 import V4l2Camera
from edged.ports import Camera


def make_camera(name: str, settings: config.CameraConfig, *, raw: bool = False) -> Camera:
    """The camera the source names, upright and masked; with `raw` its frames need not be BGR.

    Raises ConfigError for what its kind cannot do.
    """
    raw = raw and not settings.masks  # which are painted in BGR
    camera: Camera
    match settings.source_kind:
        case "csi":
            camera = CsiCamera(settings, raw=raw)  # turns by itself
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
