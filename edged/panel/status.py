"""What the page shows, as plain data: cameras, device, broker, models, problems and alerts.

Upstream: the daemon's parts. Downstream: the routes. No address and no secret is in it. Thread: any.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic_ns
from typing import Any

from edged import __version__
from edged.behaviour.alert_rules import alert_kinds
from edged.behaviour.alerts import Alert
from edged.behaviour.words import describe_scene
from edged.config.profiles import KEY_OF_SWITCH, Switch
from edged.config.tables.camera import CameraConfig
from edged.daemon import Daemon
from edged.device.health import CameraOverview, camera_health
from edged.device.identity import device_id
from edged.panel.aiming import Aiming
from edged.panel.cures import CURES

Body = dict[str, Any]


def status_body(daemon: Daemon, aiming: Aiming) -> Body:
    """Everything but pictures, drawings, the log and alerts of the past."""
    parts, config = daemon.parts, daemon.config
    health = parts.supervisor.latest_health
    cameras = daemon.cameras()
    return {
        "device": {
            "id": device_id(config.device.id),
            "name": config.device.name,
            "version": __version__,
            "ts": parts.headers.utc_ms(monotonic_ns()),
            "evidence": config.evidence.enabled,
        },
        "health": {name: health.get(name) for name in ("uptime_s", "process", "device", "clock")},
        "problems": [{**problem, "cure": CURES.get(problem["code"], "")} for problem in health.get("problems", ())],
        "mqtt": parts.bus.stats,
        "models": parts.overview.models(),
        "switches": _switches(daemon),
        "cameras": {name: _camera(daemon, aiming, name, camera) for name, camera in cameras.items()},
        "alerts": [open_alert(daemon, alert) for name in cameras for alert in parts.scenes.alerts.open(name)],
    }


def _switches(daemon: Daemon) -> Body:
    """The `switches` message, and of each switch whether the configuration allows to switch it on."""
    base = daemon.parts.state.base
    body = daemon.parts.switches.body(base)
    cameras = {
        name: {what: {**one, "allowed": one["on"] or _allows(base.cameras[name], what)} for what, one in own.items()}
        for name, own in body["cameras"].items()
    }
    return {**body, "cameras": cameras}


def _allows(camera: CameraConfig, what: Switch) -> bool:
    return bool(getattr(camera, KEY_OF_SWITCH[what]))


def _camera(daemon: Daemon, aiming: Aiming, name: str, camera: CameraOverview) -> Body:
    parts, settings = daemon.parts, daemon.config.cameras[name]
    size = camera.state.size_wh
    return {
        **camera_health(camera, parts.headers.utc_ms),
        "size": None if size is None else list(size),
        "images": settings.images,
        "aiming_s": aiming.left_s(name),
        "hides_people": settings.hides_people,
        "stall": settings.stall.enabled,
        "lift": settings.lift,
        "kinds": list(alert_kinds(settings)),
        "scene": describe_scene(parts.scenes.latest_states.get(name)),
    }


def open_alert(daemon: Daemon, alert: Alert) -> Body:
    """An alert that has not closed."""
    evidence = alert.evidence
    return {
        "alert_id": alert.id,
        "camera": alert.camera,
        "event_type": alert.rule.kind,
        "stage": alert.stage,
        "severity": alert.rule.severity,
        "since_ts": daemon.parts.headers.utc_ms(alert.since_ns),
        "reason": alert.reason,
        "evidence": None if evidence is None else dict(evidence.values),
        "coverage": None if evidence is None else evidence.coverage,
        "test": alert.rule.is_test,
    }


def past_alerts(daemon: Daemon) -> list[Mapping[str, Any]]:
    """Alerts with pictures, newest first; open ones too."""
    allowed = {name for name, camera in daemon.config.cameras.items() if camera.images}
    return [alert for alert in daemon.parts.evidence.alerts() if alert.get("camera") in allowed]
