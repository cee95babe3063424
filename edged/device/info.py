"""What the device is: the body of `info`, and the device for Home Assistant's discovery. Pure."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edged import __version__
from edged.behaviour.alert_rules import alert_kinds
from edged.config.tables.camera import CameraConfig
from edged.config.tables.models import ModelsConfig
from edged.config.tree import Config
from edged.inference.engine_builds import BuildStatus
from edged.inference.load_models import LoadedModels
from edged.mqtt.homeassistant_payloads import DiscoveryDevice
from engines.card import Pose
from engines.card.schema import SCHEMAS

LIBRARIES = ("numpy", "opencv-python", "opencv-python-headless", "av", "onnxruntime", "openvino", "paho-mqtt")


def info_body(
    settings: Config,
    models: Mapping[str, Any],
    classes: Mapping[str, tuple[str, ...]],
    aiming_until_ms: Mapping[str, int],
) -> dict[str, Any]:
    """The body of `info`; `classes` are those that each camera looks for, `aiming_until_ms` is UTC by camera."""
    libraries = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # JetPack brings OpenCV without its distribution
            libraries[name] = version(name)
    return {
        "version": __version__,
        "name": settings.device.name,
        "system": {"os": platform.platform(), "python": platform.python_version(), **libraries},
        "models": models,
        "cameras": {
            name: _camera_info(camera, classes[name], aiming_until_ms.get(name))
            for name, camera in settings.enabled_cameras.items()
        },
    }


def models_info(models: ModelsConfig, engines: LoadedModels, builds: Mapping[str, BuildStatus]) -> dict[str, Any]:
    """The models in use, what runs each, and the status of engine builds."""
    return {
        **engines.backend_info,
        "detector": models.detector,
        "pose": dict(models.pose),
        "lift": models.lift,
        "root": models.root,
        "service_level": engines.service_level,
        "runtime_by_model": engines.runtime_by_model,
        "missing": engines.missing_by_model,
        "engines": {name: asdict(build) for name, build in builds.items()},
    }


def discovery_device(settings: Config, device: str, classes: Mapping[str, tuple[str, ...]]) -> DiscoveryDevice:
    """`classes` are those that each camera looks for."""
    cameras = settings.enabled_cameras
    return DiscoveryDevice(
        id=device,
        base=settings.mqtt.base_topic,
        name=settings.device.name,
        version=__version__,
        health_s=settings.publish.health_interval_s,
        prefix=settings.homeassistant.discovery_prefix,
        cameras=classes,
        alert_kinds={name: alert_kinds(cameras[name]) for name in classes},
        allowed_commands=frozenset(settings.commands.allow),
        snapshot_cameras=frozenset(name for name, camera in cameras.items() if camera.images),
        evidence=settings.evidence.enabled,
        profiles=tuple(settings.profiles),
        stall_cameras=frozenset(name for name, camera in cameras.items() if camera.stall.enabled),
    )


def keypoint_names(poses: Mapping[str, Pose]) -> dict[str, list[str]]:
    """The names of the keypoints, in order, by the schema of these pose models."""
    return {pose.schema_name: list(SCHEMAS[pose.schema_name].keypoints) for pose in poses.values()}


def _camera_info(camera: CameraConfig, classes: tuple[str, ...], aiming_until_ms: int | None) -> dict[str, Any]:
    """The part of the configuration that is published; never the address."""
    region = camera.static_region and {"class": camera.static_region.label, "box": list(camera.static_region.box)}
    aiming = {} if aiming_until_ms is None else {"aiming_until_ts": aiming_until_ms}
    return {
        **aiming,
        "kind": camera.source_kind,
        "classes": list(classes),
        "fps": camera.fps or None,
        "roi": None if camera.roi is None else list(camera.roi),
        "stall": camera.stall.enabled,
        "mode": camera.mode,
        "detector_interval": camera.detector_interval,
        "static_region": region,
    }
