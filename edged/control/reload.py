"""What must be done to run with a new configuration: cameras, models, the broker, or a full restart. Pure.

Upstream: the configuration in use and the new one. Downstream: `edged.daemon`, which does it between two frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from edged.config.tables.camera import CameraConfig
from edged.config.text import changed_keys
from edged.config.tree import Config

# Keys, and tables of keys, that can change while the daemon runs; any other needs a full restart.
HOT_RELOADABLE = (
    *("cameras", "profiles", "models", "compute", "mqtt", "homeassistant", "commands", "device.name", "update"),
    *("publish.max_rate_hz", "publish.smoothed", "publish.health_interval_s", "publish.daily_interval_s"),
)
RESTART_KEYS = ("models.store", "mqtt.base_topic")  # but for these: the disk that health watches, and all topics
# Keys of a camera that only its pipeline reads, or only its behaviour; for any other the camera is opened again.
PIPELINE_KEYS = {
    *("roi", "images", "intrinsics", "classes", "thresholds", "mode", "pick", "max_subjects"),
    *("detector_interval", "lift", "static_region", "quality", "track", "motion_gate"),
}
BEHAVIOUR_KEYS = {"stall", "aisle", "person_down", "alerts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """The steps from the one configuration to the other. Cameras by name."""

    changed: tuple[str, ...]  # keys
    removed: tuple[str, ...]
    added: tuple[str, ...]
    reopened: tuple[str, ...]
    pipelines: tuple[str, ...]  # of cameras that get a new one
    reload_models: bool
    switch_broker: bool  # or reach the same one in another way
    full_restart: bool  # then nothing else counts

    @property
    def sources(self) -> tuple[str, ...]:
        """Cameras that are opened."""
        return (*self.added, *self.reopened)

    @property
    def restarted(self) -> list[str]:
        """What is interrupted, for the reply."""
        if self.full_restart:
            return ["everything"]
        parts = [*(["models"] if self.reload_models else []), *(["broker connection"] if self.switch_broker else [])]
        return [*parts, *(f"camera {name}" for name in (*self.sources, *self.removed))]

    def __str__(self) -> str:
        return f"changed {', '.join(self.changed) or 'nothing'}; restarted {', '.join(self.restarted) or 'nothing'}"


def plan_reload(old: Config, new: Config, *, anew: bool = False) -> ReloadPlan:
    """The steps from `old` to `new`; `anew`: the models are loaded again in any case."""
    keys = changed_keys(old, new)
    before, after = old.enabled_cameras, new.enabled_cameras
    both = [name for name in after if name in before]
    fields = {name: _changed_fields(before[name], after[name]) - BEHAVIOUR_KEYS for name in both}
    reopened = tuple(name for name in both if fields[name] - PIPELINE_KEYS)
    added = tuple(name for name in after if name not in before)
    models = anew or old.models_in_use != new.models_in_use or _any_under(keys, "compute")
    all_pipelines = models or _any_under(keys, "publish.smoothed")
    return ReloadPlan(
        changed=tuple(keys),
        removed=tuple(name for name in before if name not in after),
        added=added,
        reopened=reopened,
        pipelines=tuple(name for name in after if all_pipelines or name in added or fields[name]),
        reload_models=models,
        switch_broker=_any_under(keys, "mqtt"),
        full_restart=any(not _any_under([key], *HOT_RELOADABLE) or _any_under([key], *RESTART_KEYS) for key in keys),
    )


def _changed_fields(before: CameraConfig, after: CameraConfig) -> set[str]:
    """The keys that differ; `motion_gate` also where it follows `stall.enabled`."""
    gate = {"motion_gate"} if before.gates_motion != after.gates_motion else set()
    return gate | {name for name in CameraConfig.model_fields if getattr(before, name) != getattr(after, name)}


def _any_under(keys: list[str], *tables: str) -> bool:
    """Whether any of the keys is one of these tables or keys, or lies below one."""
    return any(f"{key}.".startswith(f"{table}.") for key in keys for table in tables)
