"""The configuration in effect: the files', a profile's changes, and what was switched off. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edged.config.tables.profiles import ProfileConfig
from edged.config.tree import Config

Switch = Literal["camera", "alerts", "images"]
KEY_OF_SWITCH: Mapping[Switch, str] = {"camera": "enabled", "alerts": "alerts", "images": "images"}
Switches = Mapping[str, Mapping[Switch, bool]]  # by camera


def profile_at(profiles: Mapping[str, ProfileConfig], time: str) -> str | None:
    """The profile whose timetable has this local time, `HH:MM`; None without one."""
    return next((name for name, profile in profiles.items() if profile.applies_at(time)), None)


def overlap(one: ProfileConfig, other: ProfileConfig) -> str | None:
    """A local time that both timetables have; None if there is none."""
    starts = [profile.start for profile in (one, other) if profile.start is not None]
    return next((start for start in starts if one.applies_at(start) and other.applies_at(start)), None)


def in_effect(config: Config, profile: str | None, switches: Switches) -> Config:
    """`config` with the changes of the profile of this name, if there is one, and the cameras' switches over it.

    A camera that the files disable stays disabled, and pictures that they forbid stay forbidden to a switch.
    """
    changes = config.profiles[profile].cameras if profile in config.profiles else {}
    cameras = {}
    for name, camera in config.cameras.items():
        own = changes[name].model_dump(exclude_none=True) if name in changes else {}
        own |= {KEY_OF_SWITCH[switch]: on for switch, on in switches.get(name, {}).items()}
        own["enabled"] = camera.enabled and own.get("enabled", True)
        cameras[name] = camera.model_copy(update=own)
    return config.model_copy(update={"cameras": cameras}) if cameras != config.cameras else config
