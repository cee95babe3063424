"""What the box says it is: to subscribers in `info`, to Home Assistant as an appliance. Pure."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from edged import __version__, config
from edged.barn.alerts import RULES as BARN
from edged.box.smithy import Work
from edged.bus.discovery import Appliance
from edged.config import Config
from edged.watching.alerts import RULES

if TYPE_CHECKING:
    from edged.adapters.planes import Engines

LIBRARIES = ("numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "paho-mqtt")


def about(settings: Config, models: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `info`."""
    libraries = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # JetPack brings OpenCV without its distribution
            libraries[name] = version(name)
    return {
        "version": __version__,
        "name": settings.device.name,
        "system": {"os": platform.platform(), "python": platform.python_version(), **libraries},
        "models": models,
        "cameras": {name: _camera(camera) for name, camera in settings.in_use.items()},
    }


def serving(models: config.Models, engines: Engines, works: Mapping[str, Work]) -> dict[str, Any]:
    """Which models are in use, what runs them, and where engines in the making stand."""
    return {
        **engines.on,
        "detector": models.detector,
        "pose": dict(models.pose),
        "lift": models.lift,
        "root": models.root,
        "serving": engines.serving,
        "served": engines.served,
        "missing": engines.reasons,
        "engines": {name: asdict(work) for name, work in works.items()},
    }


def appliance(settings: Config, device: str, classes: Mapping[str, tuple[str, ...]]) -> Appliance:
    """`classes` are what each camera looks for."""
    return Appliance(
        id=device,
        base=settings.mqtt.base,
        name=settings.device.name,
        version=__version__,
        health_s=settings.publish.health_s,
        prefix=settings.homeassistant.prefix,
        cameras=classes,
        kinds=tuple(rule.kind for rule in (*RULES, *BARN)),
        commands=frozenset(settings.commands.allow),
        pictures=frozenset(name for name, camera in settings.in_use.items() if camera.images),
        stalls=frozenset(name for name, camera in settings.in_use.items() if camera.stall.enabled),
    )


def _camera(camera: config.Camera) -> dict[str, Any]:
    """What subscribers may need to know of a camera; its address is nobody's business."""
    fixed = camera.fixed and {"class": camera.fixed.label, "box": list(camera.fixed.box)}
    return {"kind": camera.kind, "mode": camera.mode, "detector_interval": camera.detector_interval, "fixed": fixed}
