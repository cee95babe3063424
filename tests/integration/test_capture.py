"""Frames in: what is counted, who is served, and what a bad camera does to itself and to the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psutil
import pytest

from edged.capture.camera import CapturedImage
from edged.capture.frame_buffer import BUFFER_COUNT, FrameBuffer
from edged.capture.hub import STALL_CHECK_PERIOD_S, CameraHub, CameraState, FrameCounts
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.capture.worker import MAX_ABANDONED, STABLE_FRAMES, CameraWorker, CaptureShared
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource, ModelFault
from edged.frame import U8
from edged.runtime.backoff import Backoff
from edged.units import ns

LIMIT_S = 10.0  # of any wait; never reached when all is well


def image(grey: int = 0, width: int = 4, height: int = 2) -> U8:
    return np.full((height, width, 3), grey, np.uint8)


def settings(source: str = "0", **keys: object) -> CameraConfig:
    return CameraConfig.model_validate({"source": source, "retry_max_s": 0.1, **keys})


BAD = np.zeros((0, 0, 3), np.uint8)
FILE = settings("clip.mp4", realtime=False)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.002)


class Clock:
    """Monotonic time that passes when told to."""

    def __init__(self) -> None:
        self.now_ns = ns(100)

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += ns(seconds)


class Watched:
    """An intake, its reported states, and an orderly end."""

    def __init__(
        self,
        cameras: dict[str, tuple[CameraConfig, ScriptedCamera]],
        clock: Clock | None = None,
        *,
        retry: bool = True,
    ) -> None:
        self.reports: list[CameraState] = []
        self.intake = CameraHub(cameras, self.reports.append, clock=clock or time.monotonic_ns, retry=retry)

    def __enter__(self) -> Watched:
        self.intake.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.intake.close(0.2)  # scripts that hang do so on purpose

    def phase(self, name: str = "cam") -> str:
        return self.intake.states[name].phase

    def take(self) -> list[tuple[str, int, int]]:
        """Every frame to the end of all sources: camera, sequence number, first grey value."""
        taken = []
        end_s = time.monotonic() + LIMIT_S
        while not self.intake.exhausted and time.monotonic() < end_s:
            with self.intake.lease(0.5) as frame:
                if frame is not None:
                    taken.append((frame.camera, frame.seq, int(frame.image[0, 0, 0])))
        return taken


def one(*sessions: Sequence[Step], settings: CameraConfig = FILE, retry: bool = True) -> Watched:
    return Watched({"cam": (settings, ScriptedCamera(*sessions))}, retry=retry)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Blocks a script until set; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


never = gate  # a second one


def test_a_patient_camera_gives_every_frame_in_order() -> None:
    with one([image(grey) for grey in range(20)]) as watched:
        assert watched.take() == [("cam", seq, seq) for seq in range(20)]
        assert watched.intake.counts("cam").processed == 20


def test_the_newest_frame_wins_and_the_others_are_counted(gate: threading.Event) -> None:
    steps: list[Step] = [*(image(grey) for grey in range(5)), gate.wait]
    with one(steps, settings=settings()) as watched:
        until(lambda: watched.intake.counts("cam").captured == 5)
        with watched.intake.lease(LIMIT_S) as frame:
            assert frame is not None
            assert (frame.seq, frame.image[0, 0, 0]) == (4, 4)
        assert watched.intake.counts("cam").dropped == 4


@pytest.mark.parametrize(
    "slowed",
    [lambda intake: intake.set_max_rate(10), lambda intake: intake.set_idle_rate("cam", 10)],
    ids=["limit", "rest"],
)
def test_a_limited_camera_gives_so_many_a_second_and_the_others_are_dropped_and_counted(
    slowed: Callable[[CameraHub], None],
) -> None:
    steps: list[Step] = [step for grey in range(10) for step in (lambda: time.sleep(0.03), image(grey))]
    with one(steps, settings=settings()) as watched:
        slowed(watched.intake)
        taken = watched.take()
        ledger = watched.intake.counts("cam")
    assert 2 <= len(taken) < len(steps) // 2
    assert taken[-1][1] == 9  # the last one waits until its time has come
    assert (ledger.balanced, ledger.dropped) == (True, 10 - len(taken))


def test_stats_of_all_cameras_at_one_instant(gate: threading.Event) -> None:
    steps: list[Step] = [*(image(grey) for grey in range(5)), gate.wait]
    with one(steps, settings=settings()) as watched:
        until(lambda: watched.intake.counts("cam").captured == 5)
        with watched.intake.lease(LIMIT_S):
            pass
        standing = watched.intake.stats
        assert (standing.processed, standing.dropped, standing.states["cam"].phase) == (1, 4, "online")
        assert (list(standing.offline), list(standing.online)) == ([], ["cam"])


def test_a_leased_frame_does_not_change_while_newer_ones_arrive(gate: threading.Event) -> None:
    steps: list[Step] = [image(1), gate.wait, *(image(9) for _ in range(10))]
    with one(steps, settings=settings()) as watched, watched.intake.lease(LIMIT_S) as frame:
        gate.set()
        until(lambda: watched.intake.counts("cam").captured == 11)
        assert frame is not None
        assert frame.image.tolist() == image(1).tolist()


def test_a_camera_has_one_lease_out_at_a_time() -> None:
    with one([image(1), image(2)]) as watched, watched.intake.lease(LIMIT_S) as first:
        until(lambda: watched.intake.counts("cam").waiting == 2)
        with watched.intake.lease(0.0) as second:
            assert first is not None
            assert second is None


def test_the_slots_are_written_again_and_again() -> None:
    ring = FrameBuffer("cam")
    slot = ring.reallocate((2, 4, 3))
    seen = {id(slot): slot}
    for _ in range(20):
        ring.put(slot, CapturedImage(image=slot, captured_ns=0))
        blank = ring.acquire_free()
        assert blank is not None
        slot = blank
        seen[id(slot)] = slot
    assert len(seen) <= BUFFER_COUNT


def test_a_late_frame_finds_the_memory_of_its_slot_already_there() -> None:
    ring, process = FrameBuffer("cam"), psutil.Process()
    before = process.memory_info().rss
    first = ring.reallocate((1080, 1920, 3))
    assert process.memory_info().rss - before > 0.99 * BUFFER_COUNT * first.nbytes


def test_a_frame_whose_model_fails_counts_as_failed_and_the_error_goes_on() -> None:
    with one([image()]) as watched:
        with pytest.raises(ModelFault), watched.intake.lease(LIMIT_S):
            raise ModelFault("NaN")
        ledger = watched.intake.counts("cam")
        assert (ledger.failed, ledger.processed, ledger.waiting) == (1, 0, 0)


def test_a_frame_of_size_zero_counts_as_failed_and_takes_a_number() -> None:
    with one([image(1), BAD, image(3)]) as watched:
        assert watched.take() == [("cam", 0, 1), ("cam", 2, 3)]
        assert watched.intake.counts("cam").failed == 1


def test_cameras_are_served_in_turn() -> None:
    names = ("a", "b", "c")
    cameras = {name: (FILE, ScriptedCamera([image() for _ in range(5)])) for name in names}
    with Watched(cameras) as watched:
        served = []
        for _ in range(15):
            until(lambda: all(watched.intake.counts(n).waiting or watched.phase(n) == "ended" for n in names))
            with watched.intake.lease(LIMIT_S) as frame:
                assert frame is not None
                served.append(frame.camera)
    assert served == ["a", "b", "c"] * 5


def test_a_hanging_camera_does_not_keep_the_others_waiting(gate: threading.Event) -> None:
    cameras = {"dead": (FILE, ScriptedCamera([gate.wait])), "live": (FILE, ScriptedCamera([image()] * 50))}
    with Watched(cameras) as watched:
        for seq in range(50):
            with watched.intake.lease(LIMIT_S) as frame:
                assert frame is not None
                assert (frame.camera, frame.seq) == ("live", seq)


def test_a_lost_camera_returns_and_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edged")
    refused = CameraLost("refused")
    sessions: list[list[Step]] = [[image(), refused], [refused], [refused], [image()]]
    with one(*sessions) as watched:
        watched.take()
    phases = [(report.phase, report.reason) for report in watched.reports]
    online = ("online", "4x2")
    assert phases == [("connecting", ""), online, ("lost", "refused"), online, ("ended", "the script is over")]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["camera cam: lost: refused"]
    assert "camera cam: online again after 0." in caplog.text


def test_a_new_reason_for_the_same_outage_is_told_but_does_not_warn_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with one([CameraLost("refused")], [CameraLost("wrong password")], [image()]) as watched:
        watched.take()
    assert [r.reason for r in watched.reports if r.phase == "lost"] == ["refused", "wrong password"]
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == ["camera cam: lost: refused"]


def test_an_adapter_with_a_bug_is_a_lost_camera(caplog: pytest.LogCaptureFixture) -> None:
    with one([ZeroDivisionError("oops")], [image(7)]) as watched:
        assert watched.take() == [("cam", 0, 7)]
    assert watched.reports[1].reason == "ZeroDivisionError: oops"
    assert "Traceback" in caplog.text


def test_without_retry_a_lost_camera_is_given_up() -> None:
    with one([image(5), CameraLost("gone")], [image(6)], retry=False) as watched:
        assert watched.take() == [("cam", 0, 5)]
        assert watched.intake.states["cam"].reason == "gone"


def test_a_stalled_reader_is_left_behind_and_its_late_frame_goes_nowhere(
    gate: threading.Event, never: threading.Event
) -> None:
    clock = Clock()
    camera = ScriptedCamera([image(1), gate.wait, image(2, width=9)], [image(4), never.wait], clock=clock)
    with Watched({"cam": (settings(frame_timeout_s=5), camera)}, clock) as watched:
        until(lambda: watched.phase() == "online")
        clock.pass_s(5.1)
        until(lambda: camera.opened == 2 and watched.phase() == "online")
        assert [r.reason for r in watched.reports if r.phase == "lost"] == ["no frame for 5 s"]
        with watched.intake.lease(LIMIT_S) as frame:
            assert frame is not None
            gate.set()
            until(lambda: camera.closed >= 1)
            assert frame.image.tolist() == image(4).tolist()
        slot = watched.intake._workers["cam"].buffer.acquire_free()
        assert slot is not None
        assert slot.shape == image().shape
        assert watched.intake.counts("cam").captured == 2


def test_a_camera_that_never_gives_a_first_frame_is_lost(gate: threading.Event) -> None:
    clock = Clock()
    camera = ScriptedCamera([gate.wait], clock=clock)
    with Watched({"cam": (settings(open_timeout_s=8), camera)}, clock) as watched:
        until(lambda: camera.opened == 1)
        clock.pass_s(7.9)
        time.sleep(3 * STALL_CHECK_PERIOD_S)
        assert watched.phase() == "connecting"
        clock.pass_s(0.2)
        until(lambda: watched.phase() == "lost")
    assert watched.reports[1].reason == "no first frame for 8 s"


def test_corrupt_frames_alone_do_not_keep_a_live_camera_online() -> None:
    clock = Clock()
    nap: Step = lambda: time.sleep(0.001)  # noqa: E731
    steps = [image(), *[BAD, nap] * 5000]
    with Watched({"cam": (settings(), ScriptedCamera(steps, clock=clock))}, clock) as watched:
        until(lambda: watched.intake.counts("cam").failed > 3)
        clock.pass_s(5.1)
        until(lambda: any(report.phase == "lost" for report in watched.reports))


def test_no_more_than_a_few_hanging_threads_are_left_behind(gate: threading.Event) -> None:
    clock = Clock()
    camera = ScriptedCamera(*[[gate.wait]] * 20, clock=clock)
    with Watched({"cam": (settings(), camera)}, clock) as watched:
        for opened in range(1, MAX_ABANDONED + 1):
            until(lambda opened=opened: camera.opened == opened)  # type: ignore[misc]
            clock.pass_s(11)
        until(lambda: "hang in its driver" in watched.intake.states["cam"].reason)
        clock.pass_s(1000)
        time.sleep(5 * STALL_CHECK_PERIOD_S)
        assert camera.opened == MAX_ABANDONED
        gate.set()
        until(lambda: camera.opened > MAX_ABANDONED)


def test_waiting_for_the_consumer_is_no_stall() -> None:
    clock = Clock()
    with Watched({"cam": (FILE, ScriptedCamera([image(1), image(2)], clock=clock))}, clock) as watched:
        until(lambda: watched.intake.counts("cam").captured == 1)
        time.sleep(0.05)
        clock.pass_s(1000)
        time.sleep(3 * STALL_CHECK_PERIOD_S)
        assert watched.phase() == "online"
        assert watched.take() == [("cam", 0, 1), ("cam", 1, 2)]


def test_a_recorded_frame_is_held_until_it_is_due(gate: threading.Event) -> None:
    due_ns = time.monotonic_ns() + ns(0.2)
    early = CapturedImage(image=image(), captured_ns=due_ns, source="clip.mp4", position=0)
    with one([early]) as watched, watched.intake.lease(LIMIT_S) as frame:
        assert frame is not None
        assert time.monotonic_ns() >= due_ns


def test_a_change_of_size_is_said_once_and_the_frames_go_on(caplog: pytest.LogCaptureFixture) -> None:
    steps = [image(1), image(2), image(3, width=6), image(4, width=6)]
    with one(steps) as watched:
        assert [grey for _, _, grey in watched.take()] == [1, 2, 3, 4]
    assert caplog.text.count("images are 6x2 from now on") == 1


def test_restart_opens_the_camera_again_once_the_old_stream_is_closed(gate: threading.Event) -> None:
    closed = []
    camera = ScriptedCamera([image(1), gate.wait], [lambda: closed.append(camera.closed), image(2)])
    with Watched({"cam": (FILE, camera)}) as watched:
        until(lambda: watched.phase() == "online")
        watched.intake.restart("cam")
        assert watched.phase() == "connecting"
        time.sleep(0.05)
        gate.set()
        assert [grey for _, _, grey in watched.take()] == [1, 2]
    assert closed == [1]


def test_close_leaves_a_blocked_reader_behind_in_time_and_nothing_waits(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with one([image(), image(), gate.wait], settings=settings()) as watched:
        until(lambda: watched.intake.counts("cam").captured == 2)
        begun_s = time.monotonic()
        watched.intake.close(0.3)
        assert time.monotonic() - begun_s < 2
        assert "capture-cam would not end within 0.3 s" in caplog.text
        ledger = watched.intake.counts("cam")
        assert (ledger.waiting, ledger.dropped, ledger.captured) == (0, 2, 2)


def test_the_ledger_balances_at_every_instant() -> None:
    steps = [image(n % 256) if n % 7 else BAD for n in range(3000)]
    watched = one(steps, settings=settings())
    seen: list[FrameCounts] = []

    def audit() -> None:
        while not watched.intake.exhausted:
            seen.append(watched.intake.counts("cam"))

    auditor = threading.Thread(target=audit, daemon=True)
    auditor.start()
    with watched:
        watched.take()
        auditor.join(LIMIT_S)
    seen.append(watched.intake.counts("cam"))
    assert all(ledger.balanced for ledger in seen)
    assert len({ledger.captured for ledger in seen}) > 3
    assert (seen[-1].captured, seen[-1].waiting) == (3000, 0)


def test_waits_double_up_to_the_limit_with_jitter_below() -> None:
    backoff = Backoff(3.0, jitter=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
    assert Backoff(3.0, jitter=lambda: 0.0).next_s() == 0.25


def test_only_a_camera_that_stays_gets_short_waits_again() -> None:
    desk = CaptureShared(lambda _: None, time.monotonic_ns)
    channel = CameraWorker("cam", settings(retry_max_s=30), ScriptedCamera(), desk, retry=True)
    shot = CapturedImage(image=image(), captured_ns=0)
    with desk.condition:
        waits_s = [channel.on_lost("gone") for _ in range(5)]
        for _ in range(2):
            for _ in range(STABLE_FRAMES - 1):
                channel.on_frame(shot)
            flapping_s = channel.on_lost("gone")
        for _ in range(STABLE_FRAMES):
            channel.on_frame(shot)
        stable_s = channel.on_lost("gone")
    assert waits_s[4] is not None and flapping_s is not None and stable_s is not None  # noqa: PT018
    assert waits_s[4] >= 4
    assert flapping_s >= 8
    assert stable_s <= 0.5


def test_a_name_nobody_gave_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        CameraHub({}, lambda _: None).counts("nobody")


class Trading:
    """A camera whose driver fills memory by itself: it keeps what it is given, and gives what it filled before."""

    def __init__(self, count: int) -> None:
        self.given: list[int] = []  # addresses, as images
        self._left = count
        self._queue: list[U8] = [image(9) for _ in range(3)]

    def open(self) -> Trading:
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


def test_frames_that_a_driver_wrote_into_the_ring_are_never_copied_and_live_in_few_places() -> None:
    camera = Trading(60)
    intake = CameraHub({"cam": (FILE, camera)}, lambda state: None)
    intake.start()
    seen, greys = [], []
    while not intake.exhausted:
        with intake.lease(0.1) as frame:
            if frame is not None:
                seen.append(frame.image.ctypes.data)
                greys.append(int(frame.image[0, 0, 0]))
    intake.close()
    assert seen == camera.given
    assert greys == list(range(59, -1, -1)), "nobody wrote into a frame while it was leased"
    assert len(set(seen)) <= 3 + BUFFER_COUNT + 1
