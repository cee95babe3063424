"""A camera from its configuration: the one place that knows every kind of source."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from edged.capture.camera import Camera
from edged.capture.sources.rotate_mask import RotateMaskCamera
from edged.config.tables.camera import CameraConfig

CLASSES = {"csi": "CsiCamera", "files": "FileCamera", "rtsp": "RtspCamera", "v4l2": "V4l2Camera"}  # by module


def make_camera(name: str, settings: CameraConfig, *, raw: bool = False) -> Camera:
    """The camera that `settings.source` names, with rotation and masks applied. `raw`: frames need not be BGR.

    Raises ConfigError for a setting that this kind of camera does not support.
    """
    raw = raw and not settings.masks  # masks are painted in BGR
    make = _class_of(settings.source_kind)
    camera: Camera
    rotate: Literal[0, 90, 180, 270]
    match settings.source_kind:
        case "csi":
            camera, rotate = make(settings, raw=raw), 0  # it rotates in hardware
        case "files":
            camera, rotate = make(name, settings), settings.rotate
        case "rtsp" | "v4l2":
            camera, rotate = make(name, settings, raw=raw and not settings.rotate), settings.rotate
    return RotateMaskCamera(camera, rotate, settings.masks) if rotate or settings.masks else camera


def _class_of(kind: str) -> Any:
    """The class of this kind of camera; no other kind is imported: recordings and networks bring FFmpeg, 17 MB."""
    return getattr(import_module(f"edged.capture.sources.{kind}"), CLASSES[kind])
