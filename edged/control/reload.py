"""What a new configuration asks of a running daemon: which cameras, which models, the broker, or everything. Pure.

Upstream: the configuration in use and the new one. Downstream: `daemon`, which does it between two frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from edged.config import Camera, Config
from edged.configfile import changes

# Keys that take effect while everything runs. Of these tables, and of nothing else, some may change in place.
LIVE = (
    *("cameras", "models", "compute", "mqtt", "homeassistant", "commands", "device.name"),
    *("publish.max_rate_hz", "publish.smoothed", "publish.health_s", "publish.daily_s"),
)
FIXED = ("models.store", "mqtt.base")  # and these not: the disk that is watched, the names of all topics
# What only the pipeline asks of a camera; any other key is the camera's own, and it is opened again.
SEEN_WITH = {
    *("roi", "images", "intrinsics", "classes", "thresholds", "mode", "pick", "max_subjects"),
    *("detector_interval", "lift", "fixed", "gate", "track"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The difference, in what there is to do. Cameras by name."""

    changed: tuple[str, ...]  # keys
    closed: tuple[str, ...]
    opened: tuple[str, ...]
    reopened: tuple[str, ...]
    pipelines: tuple[str, ...]  # made anew: of all cameras that are looked at differently
    models: bool  # loaded again
    broker: bool  # another one, or another way to the same
    everything: bool  # something changes that cannot change in place

    @property
    def sources(self) -> tuple[str, ...]:
        """Cameras that are opened."""
        return (*self.opened, *self.reopened)

    @property
    def restarted(self) -> list[str]:
        """For the answer: what did not simply go on."""
        if self.everything:
            return ["everything"]
        parts = [*(["models"] if self.models else []), *(["broker connection"] if self.broker else [])]
        return [*parts, *(f"camera {name}" for name in (*self.sources, *self.closed))]

    def __str__(self) -> str:
        return f"changed {', '.join(self.changed) or 'nothing'}; restarted {', '.join(self.restarted) or 'nothing'}"


def planned(old: Config, new: Config) -> Plan:
    """What leads from the one to the other."""
    keys = changes(old, new)
    before, after = old.in_use, new.in_use
    both = [name for name in after if name in before]
    reopened = tuple(name for name in both if _differing(before[name], after[name]) - SEEN_WITH)
    opened = tuple(name for name in after if name not in before)
    models = _touched(keys, "models") or _touched(keys, "compute")
    anew = models or _touched(keys, "publish.smoothed")
    return Plan(
        changed=tuple(keys),
        closed=tuple(name for name in before if name not in after),
        opened=opened,
        reopened=reopened,
        pipelines=tuple(name for name in after if anew or name in opened or before[name] != after[name]),
        models=models,
        broker=_touched(keys, "mqtt"),
        everything=any(not _touched([key], *LIVE) or _touched([key], *FIXED) for key in keys),
    )


def _differing(before: Camera, after: Camera) -> set[str]:
    return {name for name in Camera.model_fields if getattr(before, name) != getattr(after, name)}


def _touched(keys: list[str], *tables: str) -> bool:
    """Whether any of the keys is one of these, or lies below."""
    return any(f"{key}.".startswith(f"{table}.") for key in keys for table in tables)
