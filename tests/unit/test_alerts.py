"""An episode opens once, closes once, and a person can quiet it."""

from __future__ import annotations

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.presence import CameraObservation
from edged.units import ns


class Told(list[Alert]):
    """What was told about one camera, looked at once a second."""

    def __init__(self) -> None:
        self.alerts = AlertMonitors(("stall",), self.append)
        self.t_s = 0

    def watch(self, seconds: int, look: CameraObservation) -> None:
        for _ in range(seconds):
            self.t_s += 1
            self.alerts.update(
                "stall",
                CameraObservation(t_ns=ns(self.t_s), view=look.view, reason=look.reason, degraded=look.degraded),
            )

    @property
    def stages(self) -> list[str]:
        return [episode.stage for episode in self]


LOST = CameraObservation(t_ns=0, view="lost", reason="unplugged")
CLEAR = CameraObservation(t_ns=0, view="ok")
DARK = CameraObservation(t_ns=0, view="degraded", degraded=("dark", "flat"))


def test_a_short_loss_is_not_told() -> None:
    told = Told()
    told.watch(59, LOST)
    told.watch(100, CLEAR)
    assert told == []


def test_a_long_loss_opens_once_and_closes_once() -> None:
    told = Told()
    told.watch(300, LOST)
    told.watch(60, CLEAR)
    assert told.stages == ["open", "closed"]
    assert told[0].id == told[1].id


def test_an_episode_says_why_and_since_when() -> None:
    told = Told()
    told.watch(100, LOST)
    assert (told[0].rule.kind, told[0].reason, told[0].since_ns) == ("camera-lost", "unplugged", ns(1))


def test_a_moment_of_good_view_does_not_end_an_episode() -> None:
    told = Told()
    for _ in range(5):
        told.watch(100, LOST)
        told.watch(5, CLEAR)
    assert told.stages == ["open"]


def test_the_time_held_ends_with_the_condition_not_with_the_proof_of_its_end() -> None:
    told = Told()
    told.watch(101, LOST)
    told.watch(60, CLEAR)
    assert told[1].duration_s == 100


def test_the_second_trouble_has_an_id_of_its_own() -> None:
    told = Told()
    for _ in range(2):
        told.watch(100, LOST)
        told.watch(20, CLEAR)
    assert told.stages == ["open", "closed", "open", "closed"]
    assert told[0].id != told[2].id


def test_a_dark_view_is_told_with_what_is_wrong() -> None:
    told = Told()
    told.watch(200, DARK)
    assert [(episode.rule.kind, episode.reason) for episode in told] == [
        ("view-degraded", "the image is dark and flat")
    ]


def test_a_camera_that_nobody_looks_at_is_told_as_such() -> None:
    told = Told()
    told.watch(200, CameraObservation(t_ns=0, view="degraded", degraded=("no-model",)))
    assert told[0].reason == "nobody looks at the image: the detector is missing"


def test_acknowledging_is_told_and_says_whether_there_was_anything() -> None:
    told = Told()
    told.watch(100, LOST)
    assert told.alerts.acknowledge(told[0].id, ns(101))
    assert not told.alerts.acknowledge("nothing", ns(101))
    assert told.stages == ["open", "acknowledged"]


def test_an_acknowledged_episode_still_closes() -> None:
    told = Told()
    told.watch(100, LOST)
    told.alerts.acknowledge(told[0].id, ns(101))
    told.watch(30, CLEAR)
    assert told.stages == ["open", "acknowledged", "closed"]


def test_a_snoozed_episode_is_told_again_when_the_time_is_up() -> None:
    told = Told()
    told.watch(100, LOST)
    told.alerts.snooze(told[0].id, 2, ns(100))
    told.watch(119, LOST)
    assert told.stages == ["open", "snoozed"]
    told.watch(1, LOST)
    assert told.stages == ["open", "snoozed", "open"]


def test_a_snoozed_episode_that_ends_is_closed_and_not_told_again() -> None:
    told = Told()
    told.watch(100, LOST)
    told.alerts.snooze(told[0].id, 2, ns(100))
    told.watch(300, CLEAR)
    assert told.stages == ["open", "snoozed", "closed"]


def test_open_lists_what_has_not_closed() -> None:
    told = Told()
    told.watch(100, LOST)
    assert told.alerts.open_ids("stall") == (told[0].id,)
    told.watch(30, CLEAR)
    assert told.alerts.open_ids("stall") == ()
