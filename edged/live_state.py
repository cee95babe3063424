"""What a running daemon may change: its configuration, and what is made of it.

Written by the loop's thread between two frames; read by any.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from edged.behaviour.horse.thresholds import HORSE_SCHEMA
from edged.behaviour.monitor import CameraReading, Monitored
from edged.capture.hub import CameraHub
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.device.health import CameraOverview
from edged.device.info import info_body, keypoint_names, models_info
from edged.device.recovery import CameraRecovery
from edged.inference.cpu.motion_gate import motion_gate
from edged.inference.engine_builds import BuildStatus, EngineBuildService
from edged.inference.load_models import LoadedModels
from edged.pipeline import Pipeline
from edged.publisher import Publisher


class LiveState:
    """The configuration in effect, the models, and a pipeline per camera."""

    def __init__(self, config: Config, models: LoadedModels, *, display: bool, base: Config | None = None) -> None:
        """With `display` keypoints are smoothed although nothing smoothed is published.

        `base`: what the files say, where a profile or a switch has changed it in `config`.
        """
        self.config = config
        self.base = base or config
        self.models = models
        self.next_config: Config | None = None  # one that only another daemon can run with
        self.aiming_until_ms: dict[str, int] = {}  # cameras whose pictures a technician may see until then, UTC
        self.cameras_lock = threading.Lock()  # held while cameras are added or removed
        self.pipelines: dict[str, Pipeline] = {}
        self._display = display
        self.renew_pipelines(self.cameras)

    @property
    def cameras(self) -> dict[str, CameraConfig]:
        return self.config.enabled_cameras

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """What each camera looks for."""
        return self._classes(self.cameras)

    @property
    def known_classes(self) -> dict[str, tuple[str, ...]]:
        """The same, with the cameras that are switched off."""
        return self._classes(self.base.enabled_cameras)

    @property
    def switched_off(self) -> list[str]:
        """Cameras that the files enable, and a profile or a switch does not."""
        return [name for name in self.base.enabled_cameras if name not in self.cameras]

    def _classes(self, cameras: Mapping[str, CameraConfig]) -> dict[str, tuple[str, ...]]:
        return {name: camera.classes or tuple(self.models.poses) for name, camera in cameras.items()}

    @property
    def monitored(self) -> Monitored:
        cameras = self.cameras
        stalls = {name: camera.stall for name, camera in cameras.items() if camera.stall.enabled}
        downs = {
            name: (camera.person_down, camera.stall) for name, camera in cameras.items() if camera.person_down.enabled
        }
        return Monitored(
            classes=self.classes,
            daily_s=self.config.publish.daily_interval_s,
            stalls=stalls,
            aisles=[name for name, camera in cameras.items() if camera.aisle.enabled],
            floors={name: camera.stall for name, camera in cameras.items() if name in stalls or name in downs},
            downs=downs,
            alerting=[name for name, camera in cameras.items() if camera.alerts],
            off=self.switched_off,
        )

    @property
    def horse_keypoint_threshold(self) -> float:
        """The score from which a horse's keypoint counts; above all scores where no model has horses."""
        return self.models.keypoint_thresholds.get(HORSE_SCHEMA, 1.0)

    def renew_pipelines(self, names: Iterable[str]) -> None:
        """New ones for these cameras. Track ids of those before are not used again."""
        smooth = self._display or self.config.publish.smoothed
        last_ids = {name: pipeline.last_id for name, pipeline in self.pipelines.items()}
        for name in names:
            self.pipelines[name] = Pipeline(
                self.cameras[name],
                self.models.backend,
                self.models.detector,
                self.models.poses,
                smooth=smooth,
                last_id=last_ids.get(name, 0),
                gate=motion_gate(self.cameras[name]),
            )


class Overview:
    """What the parts know of the cameras and models, together: for health, behaviour and the terminal. Any thread."""

    def __init__(
        self,
        state: LiveState,
        hub: CameraHub,
        publisher: Publisher,
        recovery: CameraRecovery,
        builds: EngineBuildService | None,
    ) -> None:
        self._state = state
        self._hub = hub
        self._publisher = publisher
        self._recovery = recovery
        self._builds = builds

    def cameras(self) -> dict[str, CameraOverview]:
        """Every camera at this instant."""
        with self._state.cameras_lock:
            states, publisher = self._hub.states, self._publisher
            counts = {name: self._hub.counts(name) for name in self._state.cameras}
            return {
                name: CameraOverview(
                    state=states[name],
                    counts=counts[name],
                    rates=publisher.meters[name].read(counts[name]),
                    trend=publisher.trends[name].read(),
                    latest=publisher.meters[name].latest,
                    losses_per_h=publisher.outages[name].losses,
                    reconnects_per_h=publisher.outages[name].reconnects,
                    recovery=self._recovery.last_actions.get(name, ""),
                )
                for name in self._state.cameras
            }

    def readings(self) -> dict[str, CameraReading]:
        """Of every camera its state and latest result."""
        with self._state.cameras_lock:
            return {name: (state, self._publisher.meters[name].latest) for name, state in self._hub.states.items()}

    def builds(self) -> Mapping[str, BuildStatus]:
        """Where each model's engine stands; empty where none are built."""
        return {} if self._builds is None else self._builds.statuses

    def models(self) -> dict[str, Any]:
        return models_info(self._state.config.models_in_use, self._state.models, self.builds())

    def info(self) -> Mapping[str, Any]:
        """The body of `info`."""
        loaded = self._state.models
        models = {
            **self.models(),
            "classes": list(loaded.detector.classes),
            "keypoints": keypoint_names(loaded.poses),
            "starter": list(loaded.starter),
        }
        return info_body(self._state.config, models, self._state.classes, dict(self._state.aiming_until_ms))
