"""What the publisher sends, and how often."""

from __future__ import annotations

from time import monotonic_ns

import numpy as np
import pytest

from edged.capture.camera import CameraState
from edged.config.tables.camera import CameraConfig
from edged.config.tables.mqtt import PublishConfig
from edged.frame import Frame, FrameResult, ImageQuality, TrackedSubject
from edged.messages.build import device_status
from edged.publisher import Publisher
from edged.units import NS_PER_S
from tests.support.clock import MS
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS, subject

CLEAR = ImageQuality(brightness=99, contrast=99, sharpness=1)


def new_publisher(rate_hz: float = 30) -> tuple[Publisher, MemoryBus]:
    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    return Publisher(bus, HEADERS, PublishConfig(max_rate_hz=rate_hz), cameras("barn", "yard")), bus


def cameras(*names: str) -> dict[str, CameraConfig]:
    return {name: CameraConfig(source=f"/dev/{name}") for name in names}


def show(publisher: Publisher, camera: str, seq: int, t_ns: int, *subjects: TrackedSubject) -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    frame = Frame(camera=camera, seq=seq, captured_ns=t_ns, image=image)
    result = FrameResult(
        camera=camera,
        seq=seq,
        captured_ns=t_ns,
        done_ns=t_ns,
        size_wh=(4, 2),
        subjects=subjects,
        quality=CLEAR,
        stage_ns={},
    )
    publisher.publish(frame, result)


def test_poses_of_each_camera_are_limited_to_the_maximum_rate() -> None:
    publisher, bus = new_publisher(rate_hz=10)
    for seq in range(300):
        show(publisher, "barn", seq, NS_PER_S + seq * NS_PER_S // 30)
    show(publisher, "yard", 0, 2 * NS_PER_S)
    assert len(bus.messages_on("cam/barn/poses")) == 100 + 1  # the one that may come early, once
    assert len(bus.messages_on("cam/yard/poses")) == 1


def test_poses_of_a_camera_below_the_maximum_rate_are_all_published() -> None:
    publisher, bus = new_publisher(rate_hz=30)
    for seq in range(30):
        show(publisher, "barn", seq, NS_PER_S + seq * NS_PER_S // 30)
    assert [body["frame"] for body in bus.messages_on("cam/barn/poses")] == list(range(30))


def test_camera_status_is_retained() -> None:
    publisher, bus = new_publisher()
    publisher.publish_camera_status(CameraState(camera="barn", phase="lost", reason="unplugged", since_ns=5 * MS))
    body = bus.retained["cam/barn/status"]
    assert [body[key] for key in ("camera", "state", "reason", "since_ts")] == ["barn", "lost", "unplugged", 5]


def test_set_rate_limits_one_camera_for_a_time() -> None:
    publisher, bus = new_publisher(rate_hz=30)
    start_ns = monotonic_ns()
    publisher.set_rate(["barn"], 1, 10)
    for seq in range(20 * 30):
        show(publisher, "barn", seq, start_ns + seq * NS_PER_S // 30)
        show(publisher, "yard", seq, start_ns + seq * NS_PER_S // 30)
    assert len(bus.messages_on("cam/yard/poses")) == 600
    assert len(bus.messages_on("cam/barn/poses")) == pytest.approx(10 + 300, abs=3)


def test_set_rate_without_an_end_survives_a_reload_that_keeps_the_configured_rate() -> None:
    publisher, bus = new_publisher(rate_hz=30)
    publisher.set_rate(["barn"], 1, None)
    publisher.reconfigure(PublishConfig(max_rate_hz=30), cameras("barn"))
    for seq in range(90):
        show(publisher, "barn", seq, NS_PER_S + seq * NS_PER_S // 30)
    assert len(bus.messages_on("cam/barn/poses")) == 4  # one of them early
    publisher.reconfigure(PublishConfig(max_rate_hz=15), cameras("barn"))
    for seq in range(90, 180):
        show(publisher, "barn", seq, NS_PER_S + seq * NS_PER_S // 30)
    assert len(bus.messages_on("cam/barn/poses")) == pytest.approx(4 + 45, abs=1)


def test_publish_next_ignores_the_rate_limit_once() -> None:
    publisher, bus = new_publisher(rate_hz=0.1)
    show(publisher, "barn", 0, NS_PER_S)
    show(publisher, "barn", 1, NS_PER_S + 1)
    publisher.publish_next("barn")
    show(publisher, "barn", 2, NS_PER_S + 2)
    assert [body["frame"] for body in bus.messages_on("cam/barn/poses")] == [0, 2]
    assert publisher.last_poses("barn") == bus.messages_on("cam/barn/poses")[-1]


def test_reconfigure_keeps_the_statistics_of_a_remaining_camera() -> None:
    publisher, _ = new_publisher()
    barn = publisher.meters["barn"]
    publisher.reconfigure(PublishConfig(), cameras("barn", "box"))
    assert publisher.meters["barn"] is barn
    assert publisher.meters.keys() == publisher.trends.keys() == publisher.outages.keys() == {"barn", "box"}


@pytest.mark.parametrize(("people", "published"), [("presence", ["horse"]), ("poses", ["person", "horse"])])
def test_people_of_a_stall_are_published_only_where_the_configuration_allows(people: str, published: list[str]) -> None:
    publisher, bus = new_publisher()
    stall = CameraConfig.model_validate({"source": "0", "stall": {"enabled": True, "people": people}})
    publisher.reconfigure(PublishConfig(), {"barn": stall})
    show(publisher, "barn", 0, NS_PER_S, subject(label="person"), subject(label="horse"))
    assert [one["class"] for one in bus.messages_on("cam/barn/poses")[-1]["subjects"]] == published
