"""What a new configuration asks of a running daemon: which cameras, which models, the broker, or everything. Pure.

Upstream: the configuration in use and the new one. Downstream: `daemon`, which does it between two frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from edged.config.tables.camera import CameraConfig
from edged.config.text import changed_keys
from edged.config.tree import Config

# Keys that take effect while everything runs. Of these tables, and of nothing else, some may change in place.
HOT_RELOADABLE = (
    *("cameras", "models", "compute", "mqtt", "homeassistant", "commands", "device.name"),
    *("publish.max_rate_hz", "publish.smoothed", "publish.health_interval_s", "publish.daily_interval_s"),
)
RESTART_KEYS = ("models.store", "mqtt.base")  # and these not: the disk that is watched, the names of all topics
# What only the pipeline asks of a camera; any other key is the camera's own, and it is opened again.
PIPELINE_KEYS = {
    *("roi", "images", "intrinsics", "classes", "thresholds", "mode", "pick", "max_subjects"),
    *("detector_interval", "lift", "static_region", "quality", "track"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """The difference, in what there is to do. Cameras by name."""

    changed: tuple[str, ...]  # keys
    removed: tuple[str, ...]
    added: tuple[str, ...]
    reopened: tuple[str, ...]
    pipelines: tuple[str, ...]  # made anew: of all cameras that are looked at differently
    reload_models: bool  # loaded again
    switch_broker: bool  # another one, or another way to the same
    full_restart: bool  # something changes that cannot change in place

    @property
    def sources(self) -> tuple[str, ...]:
        """Cameras that are opened."""
        return (*self.added, *self.reopened)

    @property
    def restarted(self) -> list[str]:
        """For the answer: what did not simply go on."""
        if self.full_restart:
            return ["everything"]
        parts = [*(["models"] if self.reload_models else []), *(["broker connection"] if self.switch_broker else [])]
        return [*parts, *(f"camera {name}" for name in (*self.sources, *self.removed))]

    def __str__(self) -> str:
        return f"changed {', '.join(self.changed) or 'nothing'}; restarted {', '.join(self.restarted) or 'nothing'}"


def plan_reload(old: Config, new: Config) -> ReloadPlan:
    """What leads from the one to the other."""
    keys = changed_keys(old, new)
    before, after = old.enabled_cameras, new.enabled_cameras
    both = [name for name in after if name in before]
    reopened = tuple(name for name in both if _changed_fields(before[name], after[name]) - PIPELINE_KEYS)
    opened = tuple(name for name in after if name not in before)
    models = _any_under(keys, "models") or _any_under(keys, "compute")
    anew = models or _any_under(keys, "publish.smoothed")
    return ReloadPlan(
        changed=tuple(keys),
        removed=tuple(name for name in before if name not in after),
        added=opened,
        reopened=reopened,
        pipelines=tuple(name for name in after if anew or name in opened or before[name] != after[name]),
        reload_models=models,
        switch_broker=_any_under(keys, "mqtt"),
        full_restart=any(not _any_under([key], *HOT_RELOADABLE) or _any_under([key], *RESTART_KEYS) for key in keys),
    )


def _changed_fields(before: CameraConfig, after: CameraConfig) -> set[str]:
    return {name for name in CameraConfig.model_fields if getattr(before, name) != getattr(after, name)}


def _any_under(keys: list[str], *tables: str) -> bool:
    """Whether any of the keys is one of these, or lies below."""
    return any(f"{key}.".startswith(f"{table}.") for key in keys for table in tables)
