"""Episodes a person should know of: each opens once, is told once, and closes once.

Upstream: looks, twice a second, and people who acknowledge or snooze. Downstream: the `alert` message.
Rules are data. One thread, but for `acknowledge` and `snooze`, which any thread may call.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edged.units import NS_PER_S, S_PER_MIN, ns
from edged.watching.scene import Look

Stage = Literal["open", "acknowledged", "snoozed", "closed"]
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What must hold, and for how long, before a person is told; and for how long not, before all is well."""

    kind: str
    severity: Severity
    holds: Callable[[Look], bool]
    reason: Callable[[Look], str]
    open_s: float
    close_s: float
    evidence: Callable[[Look], Evidence | None] = lambda look: None
    remind_s: float | None = None  # after which it is told again, until somebody acknowledges it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an episode, and how much was seen of the time that was looked at."""

    signs: Mapping[str, float]
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One trouble from its beginning to its end; `id` stays, `stage` moves."""

    id: str
    camera: str
    rule: Rule
    stage: Stage
    since_ns: int  # when the condition began to hold, CLOCK_MONOTONIC
    reason: str
    held_s: float = 0.0  # how long it has held, as of this stage
    snoozed_until_ns: int = 0
    evidence: Evidence | None = None
    told_ns: int = 0  # last
    reminders: int = 0


def _unfit(degraded: tuple[str, ...]) -> str:
    if "no-model" in degraded:
        return "nobody looks at the image: the detector is missing"
    return "the image is " + " and ".join(degraded)


RULES = (
    Rule(
        kind="camera-lost",
        severity="critical",
        holds=lambda look: look.view == "lost",
        reason=lambda look: look.reason or "no frames",
        open_s=60,
        close_s=10,
    ),
    Rule(
        kind="view-degraded",
        severity="warning",
        holds=lambda look: look.view == "degraded",
        reason=lambda look: _unfit(look.degraded),
        open_s=120,
        close_s=30,
    ),
    Rule(
        kind="camera-moved",
        severity="warning",
        holds=lambda look: look.outlook == "moved",
        reason=lambda look: "it looks elsewhere than when the stall was drawn: turn it back, or draw the stall again",
        open_s=300,
        close_s=120,
    ),
    Rule(
        kind="camera-dirty",
        severity="warning",
        holds=lambda look: look.outlook == "dirty",
        reason=lambda look: "parts of the view have lost their detail: clean the lens, look for a web",
        open_s=600,
        close_s=300,
    ),
)


class Watch:
    """One rule on one camera."""

    def __init__(self, camera: str, rule: Rule) -> None:
        self._camera = camera
        self._rule = rule
        self._since_ns: int | None = None  # the condition holds since
        self._held_ns = 0  # when it held last
        self.episode: Episode | None = None

    def see(self, look: Look) -> Episode | None:
        """The episode, when it has just opened, closed, or come out of its snooze."""
        if self._rule.holds(look):
            self._since_ns = look.t_ns if self._since_ns is None else self._since_ns
            self._held_ns = look.t_ns
            return self._opened(look, self._since_ns)
        if self._since_ns is None or look.t_ns - self._held_ns < ns(self._rule.close_s):
            return None
        self._since_ns = None
        return self._closed()

    def _opened(self, look: Look, since_ns: int) -> Episode | None:
        if look.t_ns - since_ns < ns(self._rule.open_s):
            return None
        if self.episode is None:
            self.episode = Episode(
                id=uuid.uuid4().hex,
                camera=self._camera,
                rule=self._rule,
                stage="open",
                since_ns=since_ns,
                reason=self._rule.reason(look),
                held_s=(look.t_ns - since_ns) / NS_PER_S,
                evidence=self._rule.evidence(look),
                told_ns=look.t_ns,
            )
            return self.episode
        if self.episode.stage == "snoozed" and look.t_ns >= self.episode.snoozed_until_ns:
            return self.move("open", look.t_ns)
        return self._reminded(look, self.episode)

    def _reminded(self, look: Look, episode: Episode) -> Episode | None:
        """Told once more, with what speaks for it now, when nobody has answered."""
        wait_s = self._rule.remind_s
        if episode.stage != "open" or wait_s is None or look.t_ns - episode.told_ns < ns(wait_s):
            return None
        self.episode = replace(
            episode,
            reason=self._rule.reason(look),
            evidence=self._rule.evidence(look),
            told_ns=look.t_ns,
            reminders=episode.reminders + 1,
            held_s=(look.t_ns - episode.since_ns) / NS_PER_S,
        )
        return self.episode

    def leave(self) -> Episode:
        """The open episode, closed: nobody looks any more."""
        return self.move("closed", self._held_ns)

    def _closed(self) -> Episode | None:
        episode = self.move("closed", self._held_ns) if self.episode is not None else None
        self.episode = None
        return episode

    def move(self, stage: Stage, t_ns: int, snoozed_until_ns: int = 0) -> Episode:
        """The open episode at its next stage."""
        if self.episode is None:
            raise LookupError(f"{self._camera}: no open episode of {self._rule.kind}")
        held_s = (t_ns - self.episode.since_ns) / NS_PER_S
        self.episode = replace(
            self.episode, stage=stage, held_s=held_s, snoozed_until_ns=snoozed_until_ns, told_ns=t_ns
        )
        return self.episode


class Alerts:
    """Every rule on every camera. `tell` is called for each stage of each episode, one call at a time."""

    def __init__(self, cameras: tuple[str, ...], tell: Callable[[Episode], None], rules: tuple[Rule, ...] = RULES):
        self._rules = rules
        self._watches: dict[str, list[Watch]] = {}
        self._tell = tell
        self._lock = threading.Lock()
        self.adopt(cameras)

    def adopt(self, cameras: tuple[str, ...]) -> None:
        """Watch these from now on. What is open on a camera that is gone will not be heard of again, and closes."""
        with self._lock:
            gone = [watches for camera, watches in self._watches.items() if camera not in cameras]
            for watch in (watch for watches in gone for watch in watches):
                if watch.episode is not None:
                    self._tell(watch.leave())
            self._watches = {
                camera: self._watches.get(camera) or [Watch(camera, rule) for rule in self._rules] for camera in cameras
            }

    def see(self, camera: str, look: Look) -> None:
        with self._lock:
            for watch in self._watches[camera]:
                if episode := watch.see(look):
                    self._tell(episode)

    def open(self, camera: str) -> tuple[str, ...]:
        """Ids of the camera's episodes that have not closed, oldest first."""
        episodes = sorted((e for w in self._watches[camera] if (e := w.episode)), key=lambda e: e.since_ns)
        return tuple(episode.id for episode in episodes)

    def acknowledge(self, episode_id: str, t_ns: int) -> bool:
        """A person has seen it. False: there is no such episode, or it has closed."""
        return self._move(episode_id, "acknowledged", t_ns)

    def snooze(self, episode_id: str, minutes: float, t_ns: int) -> bool:
        """Quiet for so long; if it still holds then, it is told again. False: as above."""
        return self._move(episode_id, "snoozed", t_ns, t_ns + ns(minutes * S_PER_MIN))

    def _move(self, episode_id: str, stage: Stage, t_ns: int, until_ns: int = 0) -> bool:
        with self._lock:
            for watch in self._all():
                if watch.episode is not None and watch.episode.id == episode_id:
                    self._tell(watch.move(stage, t_ns, until_ns))
                    return True
        return False

    def _all(self) -> Iterator[Watch]:
        return (watch for watches in self._watches.values() for watch in watches)
