"""The one place that turns a camera's configuration into a camera."""

from __future__ import annotations

from edged import config
from edged.adapters.camera_files import FileCamera
from edged.adapters.camera_upright import UprightCamera
from edged.ports import Camera


def camera_of(name: str, settings: config.Camera) -> Camera:
    """The camera the source names, upright and masked. Raises ConfigError for what its kind cannot do."""
    camera = FileCamera(name, settings)
    return UprightCamera(camera, settings.rotate, settings.masks)
