"""People who lie on the floor: what one frame says, how long it must say so, where they may lie, and the alert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edged.behaviour.alert_rules import alert_kinds
from edged.behaviour.down import KIND, DownMonitor, read_signs
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.config.tables.camera import CameraConfig
from edged.config.tables.down import DownConfig
from edged.config.tables.stall import StallConfig
from edged.units import ns
from tests.support.scene import Stage
from tools.down import people
from tools.down.people import IMAGE_WH, POSTURES, Body, Camera, frame

CAMERA = Camera(height_m=2.6)
FLOOR = StallConfig(floor=tuple(CAMERA.corners_px), floor_m=CAMERA.floor_m)
HZ = 2.0
SIDEWAYS, AWAY, TOWARDS = 0.0, 90.0, -90.0  # of the head


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOISE", "NOISE_LYING", "DROPPED", "DROPPED_LYING"):
        monkeypatch.setattr(people, name, 0.0)


def person(facing_deg: float = SIDEWAYS, *, legs_hidden: bool = False, x: float = 0.0) -> Body:
    return Body(height_m=1.7, place_m=(x, 3.2), facing_deg=facing_deg, legs_hidden=legs_hidden)


class Hall:
    """A monitor, and somebody before it."""

    def __init__(self, **settings: object) -> None:
        self.monitor = DownMonitor(DownConfig.model_validate({"enabled": True, "after_s": 10, **settings}), FLOOR)
        self.t_s = 100.0

    def show(
        self, posture: str, seconds: float, body: Body | None = None, *, number: int = 1, seen: bool = True
    ) -> bool:
        """Whether somebody is found to lie at the end."""
        for _ in range(round(HZ * seconds)):
            self.t_s += 1 / HZ
            rng = np.random.default_rng(0)
            self.monitor.process(frame(self.t_s, posture, body or person(), CAMERA, rng, number=number, seen=seen))
        return KIND in self.monitor.findings(self.t_s)


def lies(posture: str, body: Body) -> bool:
    (subject,) = frame(0, posture, body, CAMERA, np.random.default_rng(0), number=1, seen=True).subjects
    signs = read_signs(subject, GroundPlane(CAMERA.corners_px, CAMERA.floor_m, IMAGE_WH))
    assert signs is not None
    return signs.lies


@pytest.mark.parametrize("facing", [SIDEWAYS, AWAY, TOWARDS, 45.0, 200.0])
def test_stretched_out_person_lies_whichever_way(facing: float) -> None:
    assert lies("on the back", person(facing))


@pytest.mark.parametrize("facing", [SIDEWAYS, AWAY, TOWARDS, 45.0, 200.0])
@pytest.mark.parametrize(
    "posture", ["standing", "bending", "kneeling", "sitting on a chair", "sitting on the floor", "sitting, knees up"]
)
def test_person_who_does_not_lie_is_not_said_to(posture: str, facing: float) -> None:
    assert not lies(posture, person(facing))


def test_lying_is_told_without_the_legs_and_standing_too() -> None:
    assert lies("on the back", person(legs_hidden=True))
    assert not lies("standing", person(legs_hidden=True))


def test_person_is_found_after_the_time_and_not_before() -> None:
    hall = Hall()
    assert not hall.show("standing", 20)
    assert not hall.show("on the back", 6)
    assert hall.show("on the back", 4.5)
    finding = hall.monitor.findings(hall.t_s)[KIND]
    assert finding.evidence["seconds"] == pytest.approx(10, abs=0.6)
    assert finding.evidence["trunk_tilt_deg"] == pytest.approx(90, abs=15)
    assert not hall.show("standing", 6)


def test_person_who_gets_up_in_between_is_not_found() -> None:
    hall = Hall()
    hall.show("standing", 20)
    for _ in range(4):
        assert not hall.show("on the back", 4)
        assert not hall.show("standing", 4)


def test_person_who_lies_in_few_observations_is_not_found() -> None:
    hall = Hall()
    for _ in range(20):
        assert not hall.show("on the back", 0.5)
        assert not hall.show("standing", 1)


def test_person_who_gets_another_id_is_the_same_one_if_near() -> None:
    for x, same in ((0.3, True), (1.5, False)):
        hall = Hall()
        hall.show("on the back", 7)
        assert hall.show("on the back", 4, person(x=x), number=2) == same


def test_person_who_kneels_down_beside_does_not_take_over_the_time() -> None:
    hall = Hall()
    hall.show("on the back", 9)
    for _ in range(round(HZ * 5)):
        hall.t_s += 1 / HZ
        results = [
            frame(hall.t_s, posture, person(x=x), CAMERA, np.random.default_rng(0), number=number, seen=True)
            for posture, x, number in (("kneeling", 0.3, 2), ("on the back", 0.0, 1))
        ]
        both = tuple(subject for result in results for subject in result.subjects)
        hall.monitor.process(replace(results[0], subjects=both))
    assert KIND in hall.monitor.findings(hall.t_s)


def test_person_who_is_seen_no_more_is_told_of_for_three_seconds() -> None:
    hall = Hall()
    assert hall.show("on the back", 12)
    assert hall.show("on the back", 2.5, seen=False)
    assert not hall.show("on the back", 1, seen=False)


def test_person_in_bed_or_beside_the_floor_is_not_found() -> None:
    hip = CAMERA.project(np.array([0.0, 3.2, 0.1]))
    bed = [(float(x), float(y)) for x, y in hip + np.array([(-40, -30), (40, -30), (40, 30), (-40, 30)])]
    assert not Hall(beds=[bed]).show("on the back", 20)
    assert Hall(beds=[[(0, 0), (9, 0), (9, 9)]]).show("on the back", 20)
    assert not Hall().show("on the back", 20, person(x=2.6))


def test_horse_that_lies_is_no_person() -> None:
    (subject,) = frame(0, "on the back", person(), CAMERA, np.random.default_rng(0), number=1, seen=True).subjects
    object.__setattr__(subject, "label", "horse")
    assert read_signs(subject, GroundPlane(CAMERA.corners_px, CAMERA.floor_m, IMAGE_WH)) is None


def test_floor_that_no_camera_can_see_finds_nobody_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    hall = Hall()
    hall.monitor = DownMonitor(DownConfig(enabled=True), StallConfig(floor=FLOOR.floor, floor_m=(0.1, 50.0)))
    assert not hall.show("on the back", 30)
    assert caplog.text.count("camera hall: people who lie down are not found") == 1
    assert hall.monitor.blind.startswith("the floor does not fit the image of 1280 x 720 px: ")


def test_rule_that_sees_too_little_of_people_or_too_few_frames_is_blind() -> None:
    hall = Hall()
    hall.show("standing", 30)
    assert hall.monitor.blind == ""
    hall.show("standing", 15, seen=False)
    assert hall.monitor.blind == ""
    cut = Hall()
    for _ in range(round(HZ * 30)):
        cut.t_s += 1 / HZ
        result = frame(cut.t_s, "standing", person(), CAMERA, np.random.default_rng(0), number=1, seen=True)
        keypoints = result.subjects[0].keypoints
        assert keypoints is not None
        keypoints[5:] = np.nan  # of the body, all below the head
        cut.monitor.process(result)
    cut.monitor.findings(cut.t_s)
    assert cut.monitor.blind.startswith("shoulders and hips are seen of 0% of the people")
    slow = Hall()
    for _ in range(5):
        slow.t_s += 3
        slow.monitor.process(
            frame(slow.t_s, "standing", person(), CAMERA, np.random.default_rng(0), number=1, seen=True)
        )
    slow.monitor.findings(slow.t_s)
    assert slow.monitor.blind == "4 frames in 10 s are too few, it needs 8"


def test_alert_opens_with_its_evidence_and_closes(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.monitor.down.reconfigure({"stall": (DownConfig(enabled=True, after_s=5), FLOOR)})
    for posture, seconds in (("on the back", 8), ("standing", 80)):
        for _ in range(round(2 * seconds)):
            t_s = (stage.now_ns + ns(0.5)) / ns(1)
            result = frame(t_s, posture, person(), CAMERA, np.random.default_rng(0), number=1, seen=True)
            object.__setattr__(result, "camera", "stall")
            stage.monitor.down.sink(None, result)  # type: ignore[arg-type]  # it looks at the result alone
            stage.show(0.5, "person")
    opened, closed = stage.published("alert")
    assert (opened["event_type"], opened["severity"], opened["stage"]) == (KIND, "critical", "open")
    assert opened["evidence"]["trunk_m"] == pytest.approx(0.5, abs=0.15)
    assert closed["stage"] == "closed"


def test_only_a_camera_with_the_rule_has_its_kind_of_alert() -> None:
    stall = {"floor": FLOOR.floor, "floor_m": FLOOR.floor_m}
    values = {"source": "0", "stall": stall, "person_down": {"enabled": True}}
    assert KIND in alert_kinds(CameraConfig.model_validate(values))
    assert KIND not in alert_kinds(CameraConfig.model_validate({**values, "person_down": {}}))


@pytest.mark.parametrize(
    ("stall", "reason"),
    [
        ({}, "down needs a floor of known size"),
        ({"enabled": True, "floor": FLOOR.floor, "floor_m": FLOOR.floor_m}, "down tells how people lie"),
    ],
)
def test_rule_without_a_floor_or_against_privacy_is_an_error(stall: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CameraConfig.model_validate({"source": "0", "stall": stall, "person_down": {"enabled": True}})


def test_postures_of_the_simulator_lie_or_do_not() -> None:
    assert sum(posture.lies for posture in POSTURES.values()) == 5
