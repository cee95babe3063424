"""What the publisher sends, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from edged.capture.worker import CameraState
from edged.config.tables.camera import CameraConfig
from edged.config.tables.mqtt import PublishConfig
from edged.frame import Frame, FrameResult, ImageQuality
from edged.messages.build import HeaderFactory, device_status
from edged.mqtt.memory_bus import MemoryBus
from edged.publisher import Publisher
from edged.runtime.rate_limit import RateLimiter
from edged.units import NS_PER_S

MS = 1_000_000
CLEAR = ImageQuality(brightness=99, contrast=99, sharpness=1)


class Wall:
    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // MS


HEADERS = HeaderFactory(Wall())


def new_publisher(rate_hz: float = 30) -> tuple[Publisher, MemoryBus]:
    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    return Publisher(bus, HEADERS, PublishConfig(max_rate_hz=rate_hz), cameras("barn", "yard")), bus


def cameras(*names: str) -> dict[str, CameraConfig]:
    return {name: CameraConfig(source=f"/dev/{name}") for name in names}


def show(publisher: Publisher, camera: str, seq: int, t_ns: int) -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    frame = Frame(camera=camera, seq=seq, captured_ns=t_ns, image=image)
    result = FrameResult(
        camera=camera,
        seq=seq,
        captured_ns=t_ns,
        done_ns=t_ns,
        size_wh=(4, 2),
        subjects=(),
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


PACES = {
    "the first passes": ([1000], [True]),
    "a second at once does not": ([1000, 1000], [True, False]),
    "one a period later does": ([1000, 1100], [True, True]),
    "half a period early is jitter": ([1000, 1050], [True, True]),
    "earlier than that is not": ([1000, 1049], [True, False]),
    "jitter is not a rate": ([1000, 1050, 1100, 1150], [True, True, False, True]),
    "a pause earns no burst": ([1000, 9000, 9001, 9002], [True, True, False, False]),
}


@pytest.mark.parametrize(("times_ms", "passes"), PACES.values(), ids=PACES)
def test_pace_lets_one_through_per_100_ms(times_ms: list[int], passes: list[bool]) -> None:
    pace = RateLimiter(100 * MS)
    assert [pace.allow(t * MS) for t in times_ms] == passes
