"""The camera hub: counts, turns, rate limits, and the isolation of a faulty camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from edged.capture.camera import CameraState, CapturedImage
from edged.capture.frame_buffer import BUFFER_COUNT, FrameCounts
from edged.capture.hub import STALL_CHECK_PERIOD_S, CameraHub
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.capture.worker import MAX_ABANDONED, CameraWorker, CaptureShared
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource, ModelFault
from edged.frame import U8
from edged.units import ns
from tests.support.capture import FILE, image, settings
from tests.support.clock import ManualClock
from tests.support.lease import leased
from tests.support.waiting import LIMIT_S, until

BAD = np.zeros((0, 0, 3), np.uint8)


class RunningHub:
    """A hub, its reported states, and an orderly end."""

    def __init__(
        self,
        cameras: dict[str, tuple[CameraConfig, ScriptedCamera]],
        clock: ManualClock | None = None,
        *,
        retry: bool = True,
    ) -> None:
        self.reports: list[CameraState] = []
        self.hub = CameraHub(cameras, self.reports.append, clock=clock or time.monotonic_ns, retry=retry)

    def __enter__(self) -> RunningHub:
        self.hub.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.close(0.2)  # scripts that hang do so on purpose

    def phase(self, name: str = "cam") -> str:
        return self.hub.states[name].phase

    def frames(self) -> list[tuple[str, int, int]]:
        """Every frame to the end of all sources: camera, sequence number, first grey value."""
        frames = []
        end_s = time.monotonic() + LIMIT_S
        while not self.hub.exhausted and time.monotonic() < end_s:
            with leased(self.hub, 0.5) as frame:
                if frame is not None:
                    frames.append((frame.camera, frame.seq, int(frame.image[0, 0, 0])))
        return frames


def one(*sessions: Sequence[Step], settings: CameraConfig = FILE, retry: bool = True) -> RunningHub:
    return RunningHub({"cam": (settings, ScriptedCamera(*sessions))}, retry=retry)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Blocks a script until set; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


never = gate  # a second one


def test_lossless_camera_gives_every_frame_in_order() -> None:
    with one([image(grey) for grey in range(20)]) as running:
        assert running.frames() == [("cam", seq, seq) for seq in range(20)]
        assert running.hub.counts("cam").processed == 20


def test_live_camera_keeps_the_newest_frame_and_counts_the_dropped(gate: threading.Event) -> None:
    steps: list[Step] = [*(image(grey) for grey in range(5)), gate.wait]
    with one(steps, settings=settings()) as running:
        until(lambda: running.hub.counts("cam").captured == 5)
        with leased(running.hub, LIMIT_S) as frame:
            assert frame is not None
            assert (frame.seq, frame.image[0, 0, 0]) == (4, 4)
        assert running.hub.counts("cam").dropped == 4


@pytest.mark.parametrize(
    "slowed",
    [lambda hub: hub.set_max_rate(10), lambda hub: hub.set_idle_rate("cam", 10)],
    ids=["limit", "rest"],
)
def test_rate_limit_drops_and_counts_the_frames_above_it(
    slowed: Callable[[CameraHub], None],
) -> None:
    steps: list[Step] = [step for grey in range(10) for step in (lambda: time.sleep(0.03), image(grey))]
    with one(steps, settings=settings()) as running:
        slowed(running.hub)
        frames = running.frames()
        counts = running.hub.counts("cam")
    assert 2 <= len(frames) < len(steps) // 2
    assert frames[-1][1] == 9  # the last one waits until its time has come
    assert (counts.balanced, counts.dropped) == (True, 10 - len(frames))


def test_stats_of_all_cameras_at_one_instant(gate: threading.Event) -> None:
    steps: list[Step] = [*(image(grey) for grey in range(5)), gate.wait]
    with one(steps, settings=settings()) as running:
        until(lambda: running.hub.counts("cam").captured == 5)
        with leased(running.hub, LIMIT_S):
            pass
        stats = running.hub.stats
        assert (stats.processed, stats.dropped, stats.states["cam"].phase) == (1, 4, "online")
        assert (list(stats.offline), list(stats.online)) == ([], ["cam"])


def test_leased_frame_is_unchanged_while_newer_ones_arrive(gate: threading.Event) -> None:
    steps: list[Step] = [image(1), gate.wait, *(image(9) for _ in range(10))]
    with one(steps, settings=settings()) as running, leased(running.hub, LIMIT_S) as frame:
        gate.set()
        until(lambda: running.hub.counts("cam").captured == 11)
        assert frame is not None
        assert frame.image.tolist() == image(1).tolist()


def test_second_lease_of_a_camera_gives_none() -> None:
    with one([image(1), image(2)]) as running, leased(running.hub, LIMIT_S) as first:
        until(lambda: running.hub.counts("cam").waiting == 2)
        with leased(running.hub, 0.0) as second:
            assert first is not None
            assert second is None


def test_several_leases_are_of_different_cameras_and_count_each_as_it_went() -> None:
    with RunningHub({name: (FILE, ScriptedCamera([image(1), image(2)])) for name in ("a", "b", "c")}) as running:
        until(lambda: all(running.hub.counts(name).waiting for name in "abc"))
        with running.hub.lease(LIMIT_S, 2) as leases:
            assert [(lease.frame.camera, lease.frame.seq) for lease in leases] == [("a", 0), ("b", 0)]
            leases[1].processed = True
        with running.hub.lease(LIMIT_S, 9) as leases:
            assert {lease.frame.camera for lease in leases} >= {"c"}
            assert len({lease.frame.camera for lease in leases}) == len(leases)
        assert (running.hub.counts("a").failed, running.hub.counts("b").processed) == (1, 1)


def test_lease_left_by_an_error_counts_as_failed_and_raises_it() -> None:
    with one([image()]) as running:
        with pytest.raises(ModelFault), leased(running.hub, LIMIT_S):
            raise ModelFault("NaN")
        counts = running.hub.counts("cam")
        assert (counts.failed, counts.processed, counts.waiting) == (1, 0, 0)


def test_empty_frame_counts_as_failed_and_takes_a_sequence_number() -> None:
    with one([image(1), BAD, image(3)]) as running:
        assert running.frames() == [("cam", 0, 1), ("cam", 2, 3)]
        assert running.hub.counts("cam").failed == 1


def test_cameras_are_leased_in_turn() -> None:
    names = ("a", "b", "c")
    cameras = {name: (FILE, ScriptedCamera([image() for _ in range(5)])) for name in names}
    with RunningHub(cameras) as running:
        served = []
        for _ in range(15):
            until(lambda: all(running.hub.counts(n).waiting or running.phase(n) == "ended" for n in names))
            with leased(running.hub, LIMIT_S) as frame:
                assert frame is not None
                served.append(frame.camera)
    assert served == ["a", "b", "c"] * 5


def test_hanging_camera_does_not_delay_the_others(gate: threading.Event) -> None:
    cameras = {"dead": (FILE, ScriptedCamera([gate.wait])), "live": (FILE, ScriptedCamera([image()] * 50))}
    with RunningHub(cameras) as running:
        for seq in range(50):
            with leased(running.hub, LIMIT_S) as frame:
                assert frame is not None
                assert (frame.camera, frame.seq) == ("live", seq)


def test_lost_camera_returns_and_each_change_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edged")
    refused = CameraLost("refused")
    sessions: list[list[Step]] = [[image(), refused], [refused], [refused], [image()]]
    with one(*sessions) as running:
        running.frames()
    phases = [(report.phase, report.reason) for report in running.reports]
    online = ("online", "")
    assert phases == [("connecting", ""), online, ("lost", "refused"), online, ("ended", "the script is over")]
    assert [report.size_wh for report in running.reports] == [None, (4, 2), None, (4, 2), None]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["camera cam: lost: refused"]
    assert "camera cam: online again after 0." in caplog.text


def test_second_reason_of_an_outage_is_reported_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with one([CameraLost("refused")], [CameraLost("wrong password")], [image()]) as running:
        running.frames()
    assert [r.reason for r in running.reports if r.phase == "lost"] == ["refused", "wrong password"]
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == ["camera cam: lost: refused"]


def test_unexpected_error_in_one_camera_names_it_and_spares_the_others(caplog: pytest.LogCaptureFixture) -> None:
    cameras = {
        "bad": (FILE, ScriptedCamera([ZeroDivisionError("oops")], [image(7)])),
        "good": (FILE, ScriptedCamera([image(grey) for grey in range(5)])),
    }
    with RunningHub(cameras) as running:
        frames = running.frames()
    assert [grey for name, _, grey in frames if name == "bad"] == [7]
    assert [grey for name, _, grey in frames if name == "good"] == [0, 1, 2, 3, 4]
    assert [(r.camera, r.reason) for r in running.reports if r.phase == "lost"] == [("bad", "ZeroDivisionError: oops")]
    assert "camera bad: unexpected error\nTraceback" in caplog.text


def test_lost_camera_without_retry_is_not_opened_again() -> None:
    with one([image(5), CameraLost("gone")], [image(6)], retry=False) as running:
        assert running.frames() == [("cam", 0, 5)]
        assert running.hub.states["cam"].reason == "gone"


def test_stalled_thread_is_abandoned_and_its_late_frame_is_discarded(
    gate: threading.Event, never: threading.Event
) -> None:
    clock = ManualClock(ns(100))
    camera = ScriptedCamera([image(1), gate.wait, image(2, width=9)], [image(4), never.wait], clock=clock)
    with RunningHub({"cam": (settings(frame_timeout_s=5), camera)}, clock) as running:
        until(lambda: running.phase() == "online")
        clock.pass_s(5.1)
        until(lambda: camera.opened == 2 and running.phase() == "online")
        assert [r.reason for r in running.reports if r.phase == "lost"] == ["no frame for 5 s"]
        with leased(running.hub, LIMIT_S) as frame:
            assert frame is not None
            gate.set()
            until(lambda: camera.closed >= 1)
            assert frame.image.tolist() == image(4).tolist()
        assert running.hub.counts("cam").captured == 2


def test_camera_without_a_first_frame_is_lost(gate: threading.Event) -> None:
    clock = ManualClock(ns(100))
    camera = ScriptedCamera([gate.wait], clock=clock)
    with RunningHub({"cam": (settings(open_timeout_s=8), camera)}, clock) as running:
        until(lambda: camera.opened == 1)
        clock.pass_s(7.9)
        time.sleep(3 * STALL_CHECK_PERIOD_S)
        assert running.phase() == "connecting"
        clock.pass_s(0.2)
        until(lambda: running.phase() == "lost")
    assert running.reports[1].reason == "no first frame for 8 s"


def test_file_has_a_minute_for_a_large_image(gate: threading.Event) -> None:
    camera = ScriptedCamera([gate.wait])
    shared = CaptureShared(lambda _: None, lambda: 0)
    worker = CameraWorker("cam", settings("photos"), camera, shared, retry=False)
    worker.start()
    until(lambda: camera.opened == 1)
    with shared.condition:
        worker.check_stall(ns(59))
        assert worker.state.phase == "connecting"
        worker.check_stall(ns(61))
        assert worker.state.reason == "no first frame for 60 s"


def test_live_camera_with_corrupt_frames_only_is_lost() -> None:
    clock = ManualClock(ns(100))
    nap: Step = lambda: time.sleep(0.001)  # noqa: E731
    steps = [image(), *[BAD, nap] * 5000]
    with RunningHub({"cam": (settings(), ScriptedCamera(steps, clock=clock))}, clock) as running:
        until(lambda: running.hub.counts("cam").failed > 3)
        clock.pass_s(5.1)
        until(lambda: any(report.phase == "lost" for report in running.reports))


def test_hanging_threads_are_limited_per_camera(gate: threading.Event) -> None:
    clock = ManualClock(ns(100))
    camera = ScriptedCamera(*[[gate.wait]] * 20, clock=clock)
    with RunningHub({"cam": (settings(), camera)}, clock) as running:
        for opened in range(1, MAX_ABANDONED + 1):
            until(lambda opened=opened: camera.opened == opened)  # type: ignore[misc]
            clock.pass_s(11)
        until(lambda: "hang in its driver" in running.hub.states["cam"].reason)
        clock.pass_s(1000)
        time.sleep(5 * STALL_CHECK_PERIOD_S)
        assert camera.opened == MAX_ABANDONED
        gate.set()
        until(lambda: camera.opened > MAX_ABANDONED)


def test_lossless_camera_waiting_for_room_is_not_stalled() -> None:
    clock = ManualClock(ns(100))
    with RunningHub({"cam": (FILE, ScriptedCamera([image(1), image(2)], clock=clock))}, clock) as running:
        until(lambda: running.hub.counts("cam").captured == 1)
        time.sleep(0.05)
        clock.pass_s(1000)
        time.sleep(3 * STALL_CHECK_PERIOD_S)
        assert running.phase() == "online"
        assert running.frames() == [("cam", 0, 1), ("cam", 1, 2)]


def test_recorded_frame_is_held_until_it_is_due(gate: threading.Event) -> None:
    due_ns = time.monotonic_ns() + ns(0.2)
    early = CapturedImage(image=image(), captured_ns=due_ns, source="clip.mp4", position=0)
    with one([early]) as running, leased(running.hub, LIMIT_S) as frame:
        assert frame is not None
        assert time.monotonic_ns() >= due_ns


def test_change_of_size_is_logged_once_and_frames_go_on(caplog: pytest.LogCaptureFixture) -> None:
    steps = [image(1), image(2), image(3, width=6), image(4, width=6)]
    with one(steps) as running:
        assert [grey for _, _, grey in running.frames()] == [1, 2, 3, 4]
    assert caplog.text.count("images are 6x2 from now on") == 1


def test_restart_opens_the_camera_after_the_old_stream_is_closed(gate: threading.Event) -> None:
    closed = []
    camera = ScriptedCamera([image(1), gate.wait], [lambda: closed.append(camera.closed), image(2)])
    with RunningHub({"cam": (FILE, camera)}) as running:
        until(lambda: running.phase() == "online")
        running.hub.restart("cam")
        assert running.phase() == "connecting"
        time.sleep(0.05)
        gate.set()
        assert [grey for _, _, grey in running.frames()] == [1, 2]
    assert closed == [1]


def test_close_abandons_a_blocked_thread_in_time_and_leaves_no_frame_waiting(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with one([image(), image(), gate.wait], settings=settings()) as running:
        until(lambda: running.hub.counts("cam").captured == 2)
        begun_s = time.monotonic()
        running.hub.close(0.3)
        assert time.monotonic() - begun_s < LIMIT_S / 2, "the thread is blocked for ever"
        assert "capture-cam does not end within 0.3 s" in caplog.text
        counts = running.hub.counts("cam")
        assert (counts.waiting, counts.dropped, counts.captured) == (0, 2, 2)


def test_counts_are_balanced_at_every_instant() -> None:
    steps = [image(n % 256) if n % 7 else BAD for n in range(3000)]
    running = one(steps, settings=settings())
    seen: list[FrameCounts] = []

    def audit() -> None:
        while not running.hub.exhausted:
            seen.append(running.hub.counts("cam"))

    auditor = threading.Thread(target=audit, daemon=True)
    auditor.start()
    with running:
        running.frames()
        auditor.join(LIMIT_S)
    seen.append(running.hub.counts("cam"))
    assert all(counts.balanced for counts in seen)
    assert len({counts.captured for counts in seen}) > 3
    assert (seen[-1].captured, seen[-1].waiting) == (3000, 0)


def test_counts_of_an_unknown_camera_raise_key_error() -> None:
    with pytest.raises(KeyError):
        CameraHub({}, lambda _: None).counts("absent")


class SwappingCamera:
    """A camera whose driver fills memory by itself: it keeps the buffer it gets, and returns one it filled before."""

    def __init__(self, count: int) -> None:
        self.given: list[int] = []  # addresses, as images
        self._left = count
        self._queue: list[U8] = [image(9) for _ in range(3)]

    def open(self) -> SwappingCamera:
        return self

    def read(self, out: U8 | None) -> CapturedImage:
        if not self._left:
            raise EndOfSource("the script is over")
        self._left -= 1
        self._queue.append(image() if out is None else out)
        filled = self._queue.pop(0)
        filled[:] = self._left
        self.given.append(filled.ctypes.data)
        return CapturedImage(image=filled, captured_ns=time.monotonic_ns(), pixel_format="bgr", swapped=True)

    def close(self) -> None:
        """Its memory goes with it."""


def test_swapped_buffers_are_never_copied_and_are_few() -> None:
    camera = SwappingCamera(60)
    hub = CameraHub({"cam": (FILE, camera)}, lambda state: None)
    hub.start()
    seen, greys = [], []
    while not hub.exhausted:
        with leased(hub, 0.1) as frame:
            if frame is not None:
                seen.append(frame.image.ctypes.data)
                greys.append(int(frame.image[0, 0, 0]))
    hub.close()
    assert seen == camera.given
    assert greys == list(range(59, -1, -1)), "a frame was written to while it was leased"
    assert len(set(seen)) <= 3 + BUFFER_COUNT + 1
