"""The daemon put together: models, bus, cameras, health; opened in this order and closed in reverse."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edged import __version__, config, loop, message, topics
from edged.adapters.bus_mqtt import MqttBus
from edged.adapters.cameras import camera_of
from edged.adapters.planes import Engines, engines_of
from edged.adapters.prometheus import Metrics
from edged.alerts import RULES
from edged.announce import Announcer
from edged.capture import Intake
from edged.channel import CameraState
from edged.clock import Clock
from edged.config import Config
from edged.discovery import Appliance
from edged.errors import ConfigError
from edged.health import CameraView, Health
from edged.identity import device_id
from edged.message import Stamps
from edged.metrics import exposition
from edged.report import Reporter
from edged.scenes import Glance, Scenes

log = logging.getLogger(__name__)

JOIN_S = 1.0
LIBRARIES = ("numpy", "opencv-python", "onnxruntime", "paho-mqtt")


class Daemon:
    """Everything that runs beside the loop, and the loop."""

    def __init__(
        self,
        settings: Config,
        device: str,
        engines: Engines,
        bus: MqttBus,
        stamps: Stamps,
        *,
        display: bool,
        retry: bool,
    ) -> None:
        self._settings = settings
        self.engines = engines
        self._bus = bus
        self._stamps = stamps
        self.cameras = enabled(settings)
        self._reporter = Reporter(bus, stamps, settings.publish, self.cameras)
        smooth = display or settings.publish.smoothed
        self._pipelines = {name: engines.pipeline(camera, smooth=smooth) for name, camera in self.cameras.items()}
        sources = {name: (camera, camera_of(name, camera)) for name, camera in self.cameras.items()}
        self._intake = Intake(sources, self._reporter.camera, retry=retry)
        self._health = Health(settings.models.store, stamps.utc_ms, lambda: stamps.synced)
        classes = {name: camera.classes or tuple(engines.poses) for name, camera in self.cameras.items()}
        state = settings.device.state
        self.scenes = Scenes(
            bus, stamps, self._glances, classes, memory=state / "days.json", daily_s=settings.publish.daily_s
        )
        self._announcer = Announcer(
            bus,
            _appliance(settings, device, classes),
            state / "announced.json",
            enabled=settings.homeassistant.enabled,
        )
        self._pulse_now: Mapping[str, Any] = {}
        self._metrics: Metrics | None = None
        self._closing = threading.Event()
        self._pulse = threading.Thread(target=self._publish_health, name="health", daemon=True)

    def start(self) -> None:
        for name, camera in self.cameras.items():
            if camera.fixed:
                log.warning("camera %s: no detector runs, a %s is taken to be in its box", name, camera.fixed.label)
        self._bus.publish(topics.INFO.at(), message.info(self._stamps, self._info()))
        if (scraped := self._settings.prometheus).enabled:
            self._metrics = Metrics(scraped.host, scraped.port, lambda: exposition(self._pulse_now))
        self._announcer.start()
        self._intake.start()
        self.scenes.start()
        self._pulse.start()

    def run(self, stop: threading.Event, sinks: Sequence[loop.Sink] = ()) -> None:
        """Until `stop`, or until every source has ended."""
        loop.run(self._intake, self._pipelines, (self._reporter.result, *sinks), stop)

    def views(self) -> dict[str, CameraView]:
        """Every camera at this instant."""
        states = self._intake.states
        return {name: self._view(name, states[name]) for name in self.cameras}

    @property
    def bus_figures(self) -> dict[str, Any]:
        return self._bus.figures

    def close(self) -> None:
        """Stop the cameras and the pulse; the health published last has every frame accounted for."""
        self._announcer.close()
        if self._metrics is not None:
            self._metrics.close()
        self._intake.close()
        self.scenes.close()
        self._closing.set()
        self._pulse.join(JOIN_S)

    def _glances(self) -> dict[str, Glance]:
        return {name: (state, self._reporter.meters[name].latest) for name, state in self._intake.states.items()}

    def _view(self, name: str, state: CameraState) -> CameraView:
        meter, outages, ledger = self._reporter.meters[name], self._reporter.outages[name], self._intake.ledger(name)
        return CameraView(
            state=state,
            ledger=ledger,
            reading=meter.read(ledger),
            figures=self._reporter.trends[name].read(),
            latest=meter.latest,
            losses_per_h=outages.losses,
            reconnects_per_h=outages.returns,
        )

    def _publish_health(self) -> None:
        """At once, then at every interval, and once more when everything has stopped."""
        stopped = False
        while True:
            self._pulse_now = self._health(self.views(), self._bus.figures, self._models())
            self._bus.publish(topics.HEALTH.at(), message.health(self._stamps, self._pulse_now))
            if stopped:
                return
            stopped = self._closing.wait(self._settings.publish.health_s)

    def _models(self) -> dict[str, Any]:
        return {"plane": "cpu", "detector": self._settings.models.detector, "pose": dict(self._settings.models.pose)}

    def _info(self) -> Mapping[str, Any]:
        libraries = {}
        for name in LIBRARIES:
            with suppress(PackageNotFoundError):  # JetPack brings OpenCV without its distribution
                libraries[name] = version(name)
        return {
            "version": __version__,
            "name": self._settings.device.name,
            "system": {"os": platform.platform(), "python": platform.python_version(), **libraries},
            "models": {**self._models(), "classes": list(self.engines.detect.classes)},
            "cameras": {name: _camera_info(camera) for name, camera in self.cameras.items()},
        }


@contextmanager
def daemon(settings: Config, *, display: bool = False, retry: bool = True) -> Iterator[Daemon]:
    """The daemon, started. With `display` somebody draws its results; without `retry` a lost camera is given up.

    Raises `ConfigError`, `ModelMissing` or `EngineError` before anything runs.
    """
    if not enabled(settings):
        raise ConfigError("no camera is configured and enabled; add a table [cameras.NAME] with a source, or --source")
    engines = engines_of(settings.models, settings.compute)
    stamps = Stamps(Clock())
    device = device_id(settings.device.id)
    bus = MqttBus(
        settings.mqtt,
        device,
        lambda state: message.presence(stamps, state),
        settings.publish,
        keep=settings.device.state / "outbox.db",
    )
    try:
        made = Daemon(settings, device, engines, bus, stamps, display=display, retry=retry)
        made.start()
        try:
            yield made
        finally:
            made.close()
    finally:
        bus.close()
        engines.plane.close()


def enabled(settings: Config) -> dict[str, config.Camera]:
    """The cameras in use, by name."""
    return {name: camera for name, camera in settings.cameras.items() if camera.enabled}


def _appliance(settings: Config, device: str, classes: Mapping[str, tuple[str, ...]]) -> Appliance:
    return Appliance(
        id=device,
        base=settings.mqtt.base,
        name=settings.device.name,
        version=__version__,
        health_s=settings.publish.health_s,
        prefix=settings.homeassistant.prefix,
        cameras=classes,
        kinds=tuple(rule.kind for rule in RULES),
    )


def _camera_info(camera: config.Camera) -> dict[str, Any]:
    """What subscribers may need to know of a camera; its address is nobody's business."""
    fixed = camera.fixed and {"class": camera.fixed.label, "box": list(camera.fixed.box)}
    return {"kind": camera.kind, "mode": camera.mode, "detector_interval": camera.detector_interval, "fixed": fixed}
