"""What each command does, on the parts of a daemon without the daemon."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.presence import CameraObservation
from edged.capture.hub import CameraHub
from edged.capture.sources.scripted import ScriptedCamera
from edged.config.tables.mqtt import PublishConfig
from edged.config.tree import Config
from edged.control.dispatcher import CommandResult
from edged.control.frame_grabber import FrameGrabber, GrabbedFrame
from edged.control.handlers import CommandHandlers
from edged.errors import CommandRejected, NotWritten
from edged.frame import U8, Frame
from edged.messages import build
from edged.messages.commands import Acknowledge, RestartCamera, SetRate, Snapshot, Snooze
from edged.mqtt.memory_bus import MemoryBus
from edged.publisher import Publisher
from edged.units import ns
from tests.integration.test_capture import LIMIT_S, image, settings, until
from tests.unit.test_message_build import result
from tests.unit.test_publisher import HEADERS

BARN = {"source": "0", "allow_images": True}


def encode(picture: U8, most_bytes: int) -> tuple[bytes, tuple[int, int]]:
    if picture.size > most_bytes:
        raise NotWritten("too large")
    return picture.tobytes(), (picture.shape[1], picture.shape[0])


class Parts:
    def __init__(self) -> None:
        self.config = Config.model_validate({"cameras": {"barn": BARN, "yard": {"source": "1"}}})
        self.bus = MemoryBus(lambda state: build.device_status(HEADERS, state))
        self.reporter = Publisher(self.bus, HEADERS, PublishConfig(max_rate_hz=0.01), self.config.enabled_cameras)
        self.camera = ScriptedCamera()
        self.intake = CameraHub({"barn": (settings(), self.camera)}, lambda state: None)
        self.told: list[Alert] = []
        self.alerts = AlertMonitors(("barn",), self.told.append)
        self.deeds = CommandHandlers(
            settings=lambda: self.config,
            bus=self.bus,
            headers=HEADERS,
            hub=self.intake,
            publisher=self.reporter,
            alerts=self.alerts,
            draw=lambda still: still.image + 100,
            encode=encode,
        )

    def show(self, seq: int, grey: int) -> None:
        """A frame on the compute thread; its memory is used again afterwards."""
        pixels = np.full((2, 4, 3), grey, np.uint8)
        frame = Frame(camera="barn", seq=seq, captured_ns=seq + 1, image=pixels)
        seen = result(camera="barn", seq=seq, captured_ns=seq + 1)
        self.reporter.publish(frame, seen)
        self.deeds.grabber.on_result(frame, seen)
        pixels[:] = 0

    def take(self, *, annotated: bool) -> CommandResult:
        """A snapshot, with frames coming in all the while, of which the rate lets only the first be published."""
        self.show(0, grey=0)
        done: list[CommandResult] = []
        asking = threading.Thread(
            target=lambda: done.append(self.deeds.snapshot(Snapshot(camera="barn", annotated=annotated)))
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
def test_a_snapshot_is_the_frame_of_a_poses_message_and_names_it(parts: Parts, annotated: bool, drawn: int) -> None:
    data = parts.take(annotated=annotated).data
    (picture,) = parts.bus.messages_on("cam/barn/snapshot")
    assert set(picture) == {1 + data["frame"] % 100 + drawn}
    poses = next(body for body in parts.bus.messages_on("cam/barn/poses") if body["frame"] == data["frame"])
    assert (data["seq"], data["ts"], data["bytes"]) == (poses["seq"], poses["ts"], 24)
    assert (data["image"], data["annotated"]) == ({"w": 4, "h": 2}, annotated)


def test_a_still_is_of_the_camera_that_was_asked_for_and_only_of_a_frame_that_is_published() -> None:
    stills = FrameGrabber(lambda camera: {"frame": 7}, lambda camera: None)  # type: ignore[arg-type, return-value]
    taken: list[GrabbedFrame | None] = []
    asking = threading.Thread(target=lambda: taken.append(stills.grab("barn", LIMIT_S)))
    asking.start()
    until(lambda: "barn" in stills._requests)
    for camera, seq in (("yard", 7), ("barn", 6), ("barn", 7)):
        frame = Frame(camera=camera, seq=seq, captured_ns=0, image=image(seq))
        stills.on_result(frame, result(camera=camera, seq=seq))
    asking.join(LIMIT_S)
    assert taken[0] is not None
    assert (taken[0].result.seq, taken[0].image[0, 0, 0]) == (7, 7)


def test_a_camera_that_gives_no_frame_is_waited_for_so_long(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.control.handlers.GRAB_TIMEOUT_S", 0.01)
    with pytest.raises(
        CommandRejected, match=r"no frame for 0.01 s, camera connecting; want a camera that gives frames"
    ):
        parts.deeds.snapshot(Snapshot(camera="barn"))
    assert parts.deeds.grabber._requests == {}


def test_a_picture_that_fits_nowhere_is_not_sent(parts: Parts) -> None:
    parts.config = parts.config.model_copy(
        update={"commands": parts.config.commands.model_copy(update={"snapshot_max_kb": 0})}
    )
    still = GrabbedFrame(image=image(), result=result(), poses={})  # type: ignore[typeddict-item]
    with pytest.raises(CommandRejected, match=r"too large; want a smaller one; raise commands.snapshot_max_kb"):
        parts.deeds._publish_picture("barn", still, still.image)
    assert parts.bus.messages_on("cam/barn/snapshot") == []


NAMED: dict[str, Any] = {
    "snapshot": Snapshot(camera="nosuch"),
    "restart-camera": RestartCamera(camera="nosuch"),
    "set-rate": SetRate(camera="nosuch", hz=1),
}


@pytest.mark.parametrize(("verb", "command"), NAMED.items(), ids=NAMED)
def test_a_camera_that_is_not_there_is_declined_with_those_that_are(parts: Parts, verb: str, command: Any) -> None:
    with pytest.raises(CommandRejected, match=r"camera: got 'nosuch'; want one of barn, yard"):
        parts.deeds.table[verb](command)


def test_a_camera_whose_pictures_stay_is_not_shown(parts: Parts) -> None:
    with pytest.raises(CommandRejected, match=r"allow_images = false; .*; set cameras.yard.allow_images = true"):
        parts.deeds.snapshot(Snapshot(camera="yard"))


def test_a_rate_is_set_for_all_when_no_camera_is_named(parts: Parts) -> None:
    assert parts.deeds.set_rate(SetRate(hz=5)).data == {"cameras": ["barn", "yard"], "hz": 5, "until_ts": None}
    assert parts.deeds.set_rate(SetRate(hz=5, seconds=60)).data["until_ts"] > 60_000


def test_a_camera_is_opened_again(parts: Parts) -> None:
    parts.intake.start()
    until(lambda: parts.camera.opened == 1)
    parts.deeds.restart_camera(RestartCamera(camera="barn"))
    until(lambda: parts.camera.opened == 2)
    parts.intake.close(0.2)


def test_an_open_alert_is_acknowledged_and_snoozed_by_its_id(parts: Parts) -> None:
    for second in range(1, 70):
        parts.alerts.update("barn", CameraObservation(t_ns=ns(second), view="lost", reason="unplugged"))
    (opened,) = parts.told
    parts.deeds.acknowledge(Acknowledge(alert_id=opened.id))
    parts.deeds.snooze(Snooze(alert_id=opened.id, minutes=1))
    assert [episode.stage for episode in parts.told] == ["open", "acknowledged", "snoozed"]
    with pytest.raises(CommandRejected) as rejected:
        parts.deeds.acknowledge(Acknowledge(alert_id="nosuch"))
    assert rejected.value.what == "alert_id"
