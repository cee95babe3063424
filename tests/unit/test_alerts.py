"""An alert opens once, closes once, is published at every stage, and can be acknowledged or snoozed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.types import CameraObservation, Finding
from edged.units import S_PER_MIN, ns

LOST = CameraObservation(t_ns=0, view="lost", reason="unplugged")
CLEAR = CameraObservation(t_ns=0, view="ok")
UNKNOWN = CameraObservation(t_ns=0, view="unknown", overdue=True)
DARK = CameraObservation(t_ns=0, view="degraded", degraded=("dark", "flat"))
COLIC = Finding(kind="colic-suspected", reason="rolled 2 times", evidence={"roll": 2.0, "paw": 4.0}, coverage=0.9)
COLICKY = replace(CLEAR, findings={COLIC.kind: COLIC})


class Published(list[Alert]):
    """The alerts of one camera, which is observed once a second."""

    def __init__(self) -> None:
        self.monitors = AlertMonitors(("stall",), self.append)
        self.t_s = 0

    def observe(self, seconds: float, observation: CameraObservation) -> None:
        for _ in range(round(seconds)):
            self.t_s += 1
            self.monitors.update("stall", replace(observation, t_ns=ns(self.t_s)))

    @property
    def stages(self) -> list[str]:
        return [alert.stage for alert in self]

    @property
    def reminders(self) -> list[tuple[str, int]]:
        return [(alert.stage, alert.reminders) for alert in self]


def test_lost_camera_back_within_a_minute_opens_no_alert() -> None:
    alerts = Published()
    alerts.observe(59, LOST)
    alerts.observe(100, CLEAR)
    assert alerts == []


def test_lost_camera_for_minutes_opens_and_closes_one_alert() -> None:
    alerts = Published()
    alerts.observe(300, LOST)
    alerts.observe(60, CLEAR)
    assert alerts.stages == ["open", "closed"]
    assert alerts[0].id == alerts[1].id


def test_open_alert_carries_kind_reason_and_begin() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    assert (alerts[0].rule.kind, alerts[0].reason, alerts[0].since_ns) == ("camera-lost", "unplugged", ns(1))


def test_alert_with_short_good_views_stays_open() -> None:
    alerts = Published()
    for _ in range(5):
        alerts.observe(100, LOST)
        alerts.observe(5, CLEAR)
    assert alerts.stages == ["open"]


def test_duration_of_closed_alert_ends_with_its_condition() -> None:
    alerts = Published()
    alerts.observe(101, LOST)
    alerts.observe(60, CLEAR)
    assert alerts[1].duration_s == 100


def test_second_alert_has_another_id() -> None:
    alerts = Published()
    for _ in range(2):
        alerts.observe(100, LOST)
        alerts.observe(20, CLEAR)
    assert alerts.stages == ["open", "closed", "open", "closed"]
    assert alerts[0].id != alerts[2].id


def test_degraded_view_opens_alert_that_names_its_faults() -> None:
    alerts = Published()
    alerts.observe(200, DARK)
    assert [(alert.rule.kind, alert.reason) for alert in alerts] == [("view-degraded", "the image is dark and flat")]


def test_camera_without_detector_opens_alert_that_names_the_detector() -> None:
    alerts = Published()
    alerts.observe(200, replace(DARK, degraded=("no-model",)))
    assert "the detector is missing" in alerts[0].reason


def test_acknowledge_publishes_a_stage_and_returns_whether_the_alert_was_open() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    assert alerts.monitors.acknowledge(alerts[0].id, ns(101))
    assert not alerts.monitors.acknowledge("no such id", ns(101))
    assert alerts.stages == ["open", "acknowledged"]


def test_acknowledged_alert_closes_when_its_condition_ends() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    alerts.monitors.acknowledge(alerts[0].id, ns(101))
    alerts.observe(30, CLEAR)
    assert alerts.stages == ["open", "acknowledged", "closed"]


def test_snoozed_alert_opens_again_after_its_time() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    alerts.monitors.snooze(alerts[0].id, 2, ns(100))
    alerts.observe(119, LOST)
    assert alerts.stages == ["open", "snoozed"]
    alerts.observe(1, LOST)
    assert alerts.stages == ["open", "snoozed", "open"]


def test_snoozed_alert_closes_when_its_condition_ends() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    alerts.monitors.snooze(alerts[0].id, 2, ns(100))
    alerts.observe(300, CLEAR)
    assert alerts.stages == ["open", "snoozed", "closed"]


def test_open_gives_the_alerts_that_have_not_closed() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    assert alerts.monitors.open("stall") == (alerts[0],)
    alerts.observe(30, CLEAR)
    assert alerts.monitors.open("stall") == ()


def test_acknowledge_all_publishes_once_for_each_open_alert_of_the_camera() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    assert alerts.monitors.acknowledge_all("stall", ns(101)) == [alerts[0].id]
    assert alerts.monitors.acknowledge_all("stall", ns(102)) == []
    assert alerts.stages == ["open", "acknowledged"]


def test_reconfigure_without_the_camera_closes_its_open_alert() -> None:
    alerts = Published()
    alerts.observe(100, LOST)
    alerts.monitors.reconfigure(())
    assert alerts.stages == ["open", "closed"]


def test_finding_opens_an_alert_at_once_with_its_evidence() -> None:
    alerts = Published()
    alerts.observe(1, COLICKY)
    (alert,) = alerts
    assert (alert.rule.kind, alert.rule.severity, alert.reason) == (COLIC.kind, "critical", COLIC.reason)
    assert alert.evidence is not None
    assert (alert.evidence.values, alert.evidence.coverage) == ({"roll": 2.0, "paw": 4.0}, 0.9)


def test_open_alert_without_answer_is_published_again() -> None:
    alerts = Published()
    alerts.observe(25 * S_PER_MIN, COLICKY)
    assert alerts.reminders == [("open", 0), ("open", 1), ("open", 2)]


def test_acknowledged_alert_is_not_published_again() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.monitors.acknowledge(alerts[0].id, ns(alerts.t_s))
    alerts.observe(60 * S_PER_MIN, COLICKY)
    assert alerts.reminders == [("open", 0), ("acknowledged", 0)]


def test_alert_stays_open_while_its_finding_pauses() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.observe(20 * S_PER_MIN, CLEAR)
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.observe(31 * S_PER_MIN, CLEAR)
    assert [stage for stage, reminders in alerts.reminders if not reminders] == ["open"]
    assert alerts[-1].stage == "closed"
    assert len({alert.id for alert in alerts}) == 1


@pytest.mark.parametrize("blind", [DARK, LOST, UNKNOWN], ids=["dark", "lost", "unknown"])
def test_alert_of_a_finding_does_not_close_while_nobody_can_look(blind: CameraObservation) -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.observe(90 * S_PER_MIN, blind)
    alerts.observe(29 * S_PER_MIN, CLEAR)
    assert "closed" not in [alert.stage for alert in alerts if alert.rule.kind == COLIC.kind]
    alerts.observe(2 * S_PER_MIN, CLEAR)
    assert [alert.stage for alert in alerts if alert.rule.kind == COLIC.kind][-1] == "closed"


@pytest.mark.parametrize(
    ("blind", "why"),
    [
        (DARK, "the image is dark and flat"),
        (LOST, "the camera is lost: unplugged"),
        (replace(UNKNOWN, connecting=True), "nobody looks at the image: the camera is still connecting"),
        (replace(UNKNOWN, ended=True), "its source has ended"),
    ],
    ids=["dark", "lost", "connecting", "ended"],
)
def test_alert_is_published_again_while_nobody_can_look_and_says_why(blind: CameraObservation, why: str) -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.observe(20 * S_PER_MIN, blind)
    own = [alert for alert in alerts if alert.rule.kind == COLIC.kind]
    assert [(alert.reminders, alert.unseen) for alert in own] == [(0, ""), (1, why), (2, why)]
    assert all((alert.reason, alert.evidence) == (own[0].reason, own[0].evidence) for alert in own)
    assert own[-1].duration_s == S_PER_MIN - 1  # it was seen to hold for so long
    alerts.observe(10 * S_PER_MIN, COLICKY)
    assert (alerts[-1].reminders, alerts[-1].unseen) == (3, "")
    assert all(alert.unseen == "" for alert in alerts.monitors.open("stall"))


def test_alert_that_has_paused_is_published_again_once_nobody_could_look_for_as_long_as_reminders_are_apart() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.observe(20 * S_PER_MIN, CLEAR)
    alerts.observe(9 * S_PER_MIN, UNKNOWN)
    assert [alert.reminders for alert in alerts if alert.rule.kind == COLIC.kind] == [0]
    alerts.observe(S_PER_MIN, UNKNOWN)
    assert [alert.reminders for alert in alerts if alert.rule.kind == COLIC.kind] == [0, 1]


def test_acknowledged_alert_is_not_published_again_while_nobody_can_look() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.monitors.acknowledge(alerts[0].id, ns(alerts.t_s))
    alerts.observe(60 * S_PER_MIN, replace(UNKNOWN, overdue=False))
    assert alerts.stages == ["open", "acknowledged"]


def test_snoozed_alert_is_back_after_its_time_while_nobody_can_look() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    alerts.monitors.snooze(alerts[0].id, 2, ns(alerts.t_s))
    alerts.observe(2 * S_PER_MIN, DARK)
    assert [(alert.stage, alert.unseen) for alert in alerts if alert.rule.kind == COLIC.kind] == [
        *(("open", ""), ("snoozed", "")),
        ("open", "the image is dark and flat"),
    ]
    assert alerts[-1].duration_s == S_PER_MIN - 1, "as far as was seen"


def test_faulty_frames_now_and_then_keep_no_alert_open() -> None:
    alerts = Published()
    alerts.observe(S_PER_MIN, COLICKY)
    for _ in range(32):
        alerts.observe(58, CLEAR)
        alerts.observe(1, DARK)
    assert alerts.stages == ["open", "closed"]


def test_test_alert_opens_at_once_and_closes_by_itself() -> None:
    alerts = Published()
    opened = alerts.monitors.test("stall", "colic-suspected", 10, ns(0))
    assert (opened.rule.kind, opened.rule.severity, opened.rule.is_test) == ("colic-suspected", "critical", True)
    assert alerts.monitors.open("stall") == (opened,)
    alerts.observe(9, CLEAR)
    assert alerts.stages == ["open"]
    alerts.observe(1, CLEAR)
    assert alerts.stages == ["open", "closed"]
    assert alerts.monitors.open("stall") == ()


def test_second_test_alert_closes_the_first() -> None:
    alerts = Published()
    for _ in range(2):
        alerts.monitors.test("stall", "camera-lost", 10, ns(0))
    assert alerts.stages == ["open", "closed", "open"]
    assert alerts[0].id == alerts[1].id != alerts[2].id


def test_test_alert_does_not_hide_a_real_one() -> None:
    alerts = Published()
    alerts.monitors.test("stall", "camera-lost", 10, ns(0))
    alerts.observe(100, LOST)
    assert [(alert.stage, alert.rule.is_test) for alert in alerts] == [
        ("open", True),
        ("closed", True),
        ("open", False),
    ]


def test_test_alert_can_be_acknowledged() -> None:
    alerts = Published()
    opened = alerts.monitors.test("stall", "camera-lost", 10, ns(0))
    assert alerts.monitors.acknowledge(opened.id, ns(1))
    alerts.observe(11, CLEAR)
    assert alerts.stages == ["open", "acknowledged", "closed"]


def test_camera_whose_frames_all_fail_opens_an_alert_after_two_minutes() -> None:
    alerts = Published()
    alerts.observe(119, UNKNOWN)
    assert alerts == []
    alerts.observe(10, UNKNOWN)
    assert [(alert.rule.kind, alert.stage) for alert in alerts] == [("view-unknown", "open")]
    assert "none can be analysed" in alerts[0].reason
    alerts.observe(40, CLEAR)
    assert alerts.stages == ["open", "closed"]


def test_view_that_is_known_now_and_then_opens_no_alert() -> None:
    alerts = Published()
    for _ in range(60):
        alerts.observe(100, UNKNOWN)
        alerts.observe(1, CLEAR)
    assert alerts == []


def test_lost_camera_that_connects_again_keeps_its_alert_until_it_is_online() -> None:
    alerts = Published()
    connecting = CameraObservation(t_ns=0, view="unknown", connecting=True)
    for _ in range(10):
        alerts.observe(20, LOST)
        alerts.observe(20, connecting)
    assert alerts.stages == ["open"]
    alerts.observe(11, CLEAR)
    assert alerts.stages == ["open", "closed"]
