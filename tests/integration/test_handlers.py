"""What each command does, on the parts of a daemon without the daemon."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.types import CameraObservation
from edged.capture.hub import CameraHub
from edged.capture.sources.scripted import ScriptedCamera
from edged.config.tables.mqtt import PublishConfig
from edged.config.tree import Config
from edged.control.dispatcher import CommandResult
from edged.control.frame_grabber import FrameGrabber, GrabbedFrame
from edged.control.handlers import CommandHandlers, Pictures
from edged.errors import CommandRejected, NotWritten
from edged.frame import U8, Frame, FrameResult
from edged.messages import build
from edged.messages.commands import Acknowledge, Day, RestartCamera, SetRate, Snapshot, Snooze, TestAlert
from edged.messages.schema import Poses
from edged.publisher import Publisher
from edged.units import ns
from tests.support.capture import image, settings
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS, result, subject
from tests.support.waiting import LIMIT_S, until

BARN = {"source": "0", "images": True, "stall": {"enabled": True}}
DAYS = {"barn": [StallDay("2027-03-01"), StallDay("2027-03-02")]}


def encode(picture: U8, most_bytes: int) -> tuple[bytes, tuple[int, int]]:
    if picture.size > most_bytes:
        raise NotWritten("too large")
    return picture.tobytes(), (picture.shape[1], picture.shape[0])


def draw_day(name: str, day: StallDay) -> U8:
    return np.full((2, 4, 3), int(day.date[-1]), np.uint8)


class Parts:
    def __init__(self) -> None:
        self.config = Config.model_validate({"cameras": {"barn": BARN, "yard": {"source": "1"}}})
        self.bus = MemoryBus(lambda state: build.device_status(HEADERS, state))
        self.publisher = Publisher(self.bus, HEADERS, PublishConfig(max_rate_hz=0.01), self.config.enabled_cameras)
        self.camera = ScriptedCamera()
        self.hub = CameraHub({"barn": (settings(), self.camera)}, lambda state: None)
        self.alerts_raised: list[Alert] = []
        self.alerts = AlertMonitors(("barn",), self.alerts_raised.append)
        self.handlers = CommandHandlers(
            config=lambda: self.config,
            bus=self.bus,
            headers=HEADERS,
            hub=self.hub,
            publisher=self.publisher,
            alerts=self.alerts,
            days_of=lambda name: DAYS.get(name, []),
            pictures=Pictures(frame=lambda grabbed: grabbed.image + 100, day=draw_day, encode=encode),
        )

    def show(self, seq: int, grey: int) -> None:
        """A frame on the compute thread; its memory is used again afterwards."""
        pixels = np.full((2, 4, 3), grey, np.uint8)
        frame = Frame(camera="barn", seq=seq, captured_ns=seq + 1, image=pixels)
        seen = result(camera="barn", seq=seq, captured_ns=seq + 1)
        self.publisher.publish(frame, seen)
        self.handlers.grabber.on_result(frame, seen)
        pixels[:] = 0

    def snapshot(self, *, annotated: bool) -> CommandResult:
        """A snapshot, with frames coming in all the while, of which the rate lets only the first be published."""
        self.show(0, grey=0)
        done: list[CommandResult] = []
        asking = threading.Thread(
            target=lambda: done.append(self.handlers.snapshot(Snapshot(camera="barn", annotated=annotated)))
        )
        asking.start()
        seq = 1
        while asking.is_alive():
            self.show(seq, grey=1 + seq % 100)
            seq += 1
        return done[0]


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize(("annotated", "drawn"), [(False, 0), (True, 100)])
def test_snapshot_shows_the_frame_of_a_poses_message_and_names_it(parts: Parts, annotated: bool, drawn: int) -> None:
    data = parts.snapshot(annotated=annotated).data
    (picture,) = parts.bus.messages_on("cam/barn/snapshot")
    assert set(picture) == {1 + data["frame"] % 100 + drawn}
    poses = next(body for body in parts.bus.messages_on("cam/barn/poses") if body["frame"] == data["frame"])
    assert (data["seq"], data["ts"], data["bytes"]) == (poses["seq"], poses["ts"], 24)
    assert (data["image"], data["annotated"]) == ({"w": 4, "h": 2}, annotated)


def grab_of_barn(frames: list[tuple[Frame, FrameResult]], *, hides_people: bool) -> GrabbedFrame:
    """Frame 7 of the camera `barn`, grabbed while these come."""
    grabber = FrameGrabber(lambda _: cast("Poses", {"frame": 7}), lambda _: None, lambda _: hides_people)
    grabbed: list[GrabbedFrame | None] = []
    asking = threading.Thread(target=lambda: grabbed.append(grabber.grab("barn", LIMIT_S)))
    asking.start()
    until(lambda: "barn" in grabber.waiting)
    for frame, found in frames:
        grabber.on_result(frame, found)
    asking.join(LIMIT_S)
    assert grabbed[0] is not None
    return grabbed[0]


def test_grab_gives_the_next_published_frame_of_that_camera() -> None:
    frames = [
        (Frame(camera=camera, seq=seq, captured_ns=0, image=image(seq)), result(camera=camera, seq=seq))
        for camera, seq in (("yard", 7), ("barn", 6), ("barn", 7))
    ]
    grabbed = grab_of_barn(frames, hides_people=False)
    assert (grabbed.result.seq, grabbed.image[0, 0, 0]) == (7, 7)


@pytest.mark.parametrize("hides_people", [False, True])
def test_people_of_the_last_two_seconds_are_blurred_in_a_snapshot_where_they_are_hidden(hides_people: bool) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    before = subject(label="person", xyxy=np.array([60, 20, 90, 80], np.float32))
    person = subject(label="person", xyxy=np.array([10, 20, 40, 80], np.float32))
    frames = [
        (
            Frame(camera="barn", seq=seq, captured_ns=ns(seq - 5), image=noise.copy()),
            result(*found, seq=seq, captured_ns=ns(seq - 5)),
        )
        for seq, found in ((6, [before]), (7, [person, subject()]))
    ]
    grabbed = grab_of_barn(frames, hides_people=hides_people)
    changed = (grabbed.image != noise).any(axis=2)
    assert [found.label for found in grabbed.result.subjects] == (["horse"] if hides_people else ["person", "horse"])
    assert (changed[20:80, 10:40].mean() > 0.9, changed[20:80, 60:90].mean() > 0.9) == (hides_people, hides_people)
    assert not changed[:5].any()


def test_snapshot_of_a_camera_without_frames_is_rejected_after_its_limit(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.control.handlers.GRAB_TIMEOUT_S", 0.01)
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.snapshot(Snapshot(camera="barn"))
    assert rejected.value.got == "no frame for 0.01 s, camera connecting"
    assert not parts.handlers.grabber.waiting


def test_picture_that_cannot_be_small_enough_is_rejected(parts: Parts) -> None:
    parts.config = parts.config.model_copy(
        update={"commands": parts.config.commands.model_copy(update={"snapshot_max_kb": 0})}
    )
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.day(Day(camera="barn"))
    assert rejected.value.what == "picture"
    assert parts.bus.messages_on("cam/barn/day") == []


def test_day_is_sent_as_a_picture(parts: Parts) -> None:
    data = parts.handlers.day(Day(camera="barn", date="2027-03-01")).data
    assert parts.bus.messages_on("cam/barn/day") == [bytes([1]) * 24]
    assert data == {"camera": "barn", "date": "2027-03-01", "image": {"w": 4, "h": 2}, "bytes": 24}


def test_day_without_a_date_is_the_running_one(parts: Parts) -> None:
    assert parts.handlers.day(Day(camera="barn")).data["date"] == "2027-03-02"


@pytest.mark.parametrize(
    ("command", "what", "wanted"),
    [
        (Day(camera="barn", date="2027-02-28"), "date", "one of 2027-03-01, 2027-03-02"),
        (Day(camera="yard"), "camera", "one with days: barn"),
        (Day(camera="nosuch"), "camera", "one with days: barn"),
    ],
)
def test_day_that_is_not_there_is_rejected(command: Day, what: str, wanted: str, parts: Parts) -> None:
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.day(command)
    assert (rejected.value.what, rejected.value.wanted) == (what, wanted)


NAMED: dict[str, Any] = {
    "snapshot": Snapshot(camera="nosuch"),
    "restart-camera": RestartCamera(camera="nosuch"),
    "set-rate": SetRate(camera="nosuch", hz=1),
}


@pytest.mark.parametrize(("verb", "command"), NAMED.items(), ids=NAMED)
def test_unknown_camera_is_rejected_with_those_that_are_known(parts: Parts, verb: str, command: Any) -> None:
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.table[verb](command)
    assert (rejected.value.what, rejected.value.wanted) == ("camera", "one of barn, yard")


def test_snapshot_of_a_camera_without_images_is_rejected(parts: Parts) -> None:
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.snapshot(Snapshot(camera="yard"))
    assert rejected.value.got == "images = false"


def test_rate_without_a_camera_is_set_for_all(parts: Parts) -> None:
    assert parts.handlers.set_rate(SetRate(hz=5)).data == {"cameras": ["barn", "yard"], "hz": 5, "until_ts": None}
    assert parts.handlers.set_rate(SetRate(hz=5, seconds=60)).data["until_ts"] > 60_000


def test_restart_camera_opens_it_again(parts: Parts) -> None:
    parts.hub.start()
    until(lambda: parts.camera.opened == 1)
    parts.handlers.restart_camera(RestartCamera(camera="barn"))
    until(lambda: parts.camera.opened == 2)
    parts.hub.close(0.2)


def test_open_alert_is_acknowledged_and_snoozed_by_its_id(parts: Parts) -> None:
    for second in range(1, 70):
        parts.alerts.update("barn", CameraObservation(t_ns=ns(second), view="lost", reason="unplugged"))
    (opened,) = parts.alerts_raised
    parts.handlers.acknowledge(Acknowledge(alert_id=opened.id))
    parts.handlers.snooze(Snooze(alert_id=opened.id, minutes=1))
    assert [alert.stage for alert in parts.alerts_raised] == ["open", "acknowledged", "snoozed"]
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.acknowledge(Acknowledge(alert_id="nosuch"))
    assert (rejected.value.what, rejected.value.got) == ("alert_id", "'nosuch'")


def test_acknowledge_of_a_camera_takes_its_open_alerts_and_one_argument_only(parts: Parts) -> None:
    for second in range(1, 70):
        parts.alerts.update("barn", CameraObservation(t_ns=ns(second), view="lost", reason="unplugged"))
    (opened,) = parts.alerts_raised
    assert parts.handlers.acknowledge(Acknowledge(camera="barn")).data == {"alert_ids": [opened.id]}
    assert [alert.stage for alert in parts.alerts_raised] == ["open", "acknowledged"]
    for wrong in (Acknowledge(), Acknowledge(camera="barn", alert_id="x"), Acknowledge(camera="nosuch")):
        with pytest.raises(CommandRejected):
            parts.handlers.acknowledge(wrong)


def test_snooze_of_a_camera_takes_its_open_alerts_and_one_argument_only(parts: Parts) -> None:
    for second in range(1, 70):
        parts.alerts.update("barn", CameraObservation(t_ns=ns(second), view="lost", reason="unplugged"))
    (opened,) = parts.alerts_raised
    assert parts.handlers.snooze(Snooze(camera="barn", minutes=5)).data == {"alert_ids": [opened.id]}
    assert parts.handlers.snooze(Snooze(camera="barn", minutes=5)).data == {"alert_ids": []}
    assert [alert.stage for alert in parts.alerts_raised] == ["open", "snoozed"]
    for wrong in ({}, {"camera": "barn", "alert_id": "x"}, {"camera": "nosuch"}):
        with pytest.raises(CommandRejected):
            parts.handlers.snooze(Snooze(minutes=5, **wrong))


def test_test_alert_is_published_and_its_answer_names_it(parts: Parts) -> None:
    data = parts.handlers.test_alert(TestAlert(camera="barn")).data
    (alert,) = parts.alerts_raised
    assert data == {
        "alert_id": alert.id,
        "camera": "barn",
        "event_type": "camera-lost",
        "severity": "critical",
    }


@pytest.mark.parametrize("kind", ["fire", "colic-suspected"])
def test_test_alert_of_a_kind_that_the_camera_never_has_is_rejected(parts: Parts, kind: str) -> None:
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.test_alert(TestAlert(camera="yard", event_type=kind))
    assert rejected.value.wanted == "one of camera-lost, view-unknown, view-degraded, camera-moved, camera-dirty"
    assert not parts.alerts_raised


def test_test_alert_of_a_camera_whose_alerts_are_off_is_rejected(parts: Parts) -> None:
    cameras = {"barn": parts.config.cameras["barn"].model_copy(update={"alerts": False})}
    parts.config = parts.config.model_copy(update={"cameras": cameras})
    with pytest.raises(CommandRejected) as rejected:
        parts.handlers.test_alert(TestAlert(camera="barn"))
    assert (rejected.value.got, rejected.value.what) == ("alerts = false", "camera barn")
    assert not parts.alerts_raised
