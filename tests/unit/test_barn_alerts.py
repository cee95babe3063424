"""What the barn's rules find becomes episodes: told with what speaks for them, and again until somebody answers."""

from __future__ import annotations

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.horse.alerts import HORSE_RULES
from edged.behaviour.horse.rules import Finding
from edged.behaviour.presence import CameraObservation
from edged.units import ns

COLIC = Finding(kind="colic-suspected", reason="rolled 2 times", evidence={"roll": 2.0, "paw": 4.0}, coverage=0.9)
MINUTE = 60


class Told(list[Alert]):
    """Looked at once a second."""

    def __init__(self) -> None:
        self.alerts = AlertMonitors(("stall",), self.append, HORSE_RULES)
        self.t_s = 0

    def watch(self, seconds: int, *found: Finding) -> None:
        for _ in range(seconds):
            self.t_s += 1
            look = CameraObservation(t_ns=ns(self.t_s), view="ok", findings={one.kind: one for one in found})
            self.alerts.update("stall", look)

    @property
    def stages(self) -> list[tuple[str, int]]:
        return [(episode.stage, episode.reminders) for episode in self]


def test_a_finding_is_told_at_once_with_its_evidence() -> None:
    told = Told()
    told.watch(1, COLIC)
    (episode,) = told
    assert (episode.rule.kind, episode.rule.severity, episode.reason) == (COLIC.kind, "critical", COLIC.reason)
    assert episode.evidence is not None
    assert (episode.evidence.values, episode.evidence.coverage) == ({"roll": 2.0, "paw": 4.0}, 0.9)


def test_nobody_answers_and_it_is_told_again() -> None:
    told = Told()
    told.watch(25 * MINUTE, COLIC)
    assert told.stages == [("open", 0), ("open", 1), ("open", 2)]


def test_who_has_answered_is_left_in_peace() -> None:
    told = Told()
    told.watch(MINUTE, COLIC)
    told.alerts.acknowledge(told[0].id, ns(told.t_s))
    told.watch(60 * MINUTE, COLIC)
    assert told.stages == [("open", 0), ("acknowledged", 0)]


def test_an_episode_outlives_a_pause_and_closes_when_it_is_long_gone() -> None:
    told = Told()
    told.watch(MINUTE, COLIC)
    told.watch(20 * MINUTE)
    told.watch(MINUTE, COLIC)
    told.watch(31 * MINUTE)
    assert [stage for stage, reminders in told.stages if not reminders] == ["open"]
    assert told[-1].stage == "closed"
    assert len({episode.id for episode in told}) == 1
