"""The configuration tree: every table of the file; `tables` has their keys with default, unit, bounds and meaning.

`load` fills it from files, environment and credentials; configs/reference.toml is printed from it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edged.config.tables.camera import CameraConfig
from edged.config.tables.device import DeviceConfig, FleetConfig, PrometheusConfig, ThrottleConfig, UpdateConfig
from edged.config.tables.models import ComputeConfig, EnginesConfig, ModelsConfig
from edged.config.tables.mqtt import CommandsConfig, HomeAssistantConfig, MqttConfig, PublishConfig
from edged.config.tables.panel import EvidenceConfig, PanelConfig
from edged.config.tables.profiles import ProfileConfig, ProfileName
from edged.config.types import Name, Section, table
from edged.errors import ConfigError

NO_CAMERA = "no camera is configured and enabled; add a table [cameras.NAME] with a source, or --source"


class Config(Section):
    """The whole file."""

    version: Literal[1] = Field(1, description="Format of this file.")
    device: DeviceConfig = table()
    update: UpdateConfig = table()
    fleet: FleetConfig = table()
    models: ModelsConfig = table()
    compute: ComputeConfig = table()
    engines: EnginesConfig = table()
    mqtt: MqttConfig = table()
    publish: PublishConfig = table()
    throttle: ThrottleConfig = table()
    homeassistant: HomeAssistantConfig = table()
    prometheus: PrometheusConfig = table()
    commands: CommandsConfig = table()
    panel: PanelConfig = table()
    evidence: EvidenceConfig = table()
    cameras: dict[Name, CameraConfig] = Field(
        {},
        json_schema_extra={"additionalProperties": False},
        description="The cameras, by name; the name is a topic level.",
    )
    profiles: dict[ProfileName, ProfileConfig] = Field(
        {},
        json_schema_extra={"additionalProperties": False},
        description="Changes of cameras by a timetable or by command, by name.",
    )

    @property
    def enabled_cameras(self) -> dict[str, CameraConfig]:
        """The cameras that are enabled, by name."""
        return {name: camera for name, camera in self.cameras.items() if camera.enabled}

    @property
    def models_in_use(self) -> ModelsConfig:
        """The models that are loaded: those of classes that a camera may publish, 3D models where one has `lift`.

        Cameras that are off keep theirs. Where a profile changes classes, all are loaded: it must not wait for one.
        """
        lifts = any(camera.lift for camera in self.cameras.values())
        return self.models.in_use(lifts=lifts, classes=self._classes_in_use)

    @property
    def _classes_in_use(self) -> set[str] | None:
        """None: all that have a model."""
        own = [[one.static_region.label] if one.static_region else one.classes for one in self.cameras.values()]
        by_profiles = any(one.classes for profile in self.profiles.values() for one in profile.cameras.values())
        return set().union(*filter(None, own)) if own and all(own) and not by_profiles else None


def require_cameras(config: Config) -> None:
    """Raises ConfigError when no camera is enabled: a daemon would have nothing to do."""
    if not config.enabled_cameras:
        raise ConfigError(NO_CAMERA)
