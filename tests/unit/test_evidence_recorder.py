"""Stills and clips of alerts, from frames and alerts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("av", reason="needs PyAV; install edged[cpu]")

import av

from edged.behaviour.alert_rules import rule_of_test
from edged.behaviour.alerts import Alert
from edged.config.tables.camera import CameraConfig
from edged.config.tables.panel import EvidenceConfig
from edged.drawing.image_file import decode_jpeg
from edged.evidence.recorder import MAX_CLIPS, EvidenceRecorder
from edged.evidence.store import EvidenceStore
from edged.frame import U8, Frame
from edged.units import ns
from tests.support.clock import ManualClock
from tests.support.stall import result, subject

NOISE = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)


class Trial:
    """A recorder of one camera, fed by hand."""

    def __init__(self, folder: Path, clock: ManualClock, **camera: Any) -> None:
        self.clock = clock
        self.camera = CameraConfig.model_validate({"source": "0", "images": True, **camera})
        self.store = EvidenceStore(folder, max_mb=10, max_days=1)
        self.published: list[tuple[str, bytes]] = []
        self.recorder = EvidenceRecorder(
            EvidenceConfig(enabled=True, before_s=2, after_s=3, rate_hz=5),
            self.store,
            cameras=lambda: {"a": self.camera},
            draw=lambda image, result: image,
            publish_still=lambda alert, jpeg: self.published.append((alert.id, jpeg)),
            max_still_bytes=lambda: 100_000,
            clock=clock,
        )

    def play(self, seconds: float, image: U8 = NOISE, *people: tuple[int, int, int, int]) -> None:
        """Ten frames a second."""
        for _ in range(round(seconds * 10)):
            self.clock.pass_s(0.1)
            found = result(*(subject("person", box=box) for box in people), t_s=self.clock.now_ns / 1e9)
            self.recorder.on_result(Frame(camera="a", seq=0, captured_ns=found.captured_ns, image=image), found)
            self.recorder.work()

    def alert(self, number: int = 1, stage: Any = "open") -> str:
        alert_id = f"{number:032x}"
        alert = Alert(
            id=alert_id,
            camera="a",
            rule=rule_of_test("camera-lost", 0),
            stage=stage,
            since_ns=0,
            reason="",
            published_ns=self.clock.now_ns,
        )
        self.recorder.on_alert(alert, {"alert_id": alert_id, "camera": "a", "stage": stage})
        self.recorder.work()
        return alert_id

    def clip(self, alert_id: str) -> list[Any]:
        path = self.store.path(alert_id, "clip")
        assert path is not None
        with av.open(str(path)) as container:
            return list(container.decode(video=0))


@pytest.fixture
def trial(tmp_path: Path, clock: ManualClock) -> Trial:
    return Trial(tmp_path, clock)


def test_alert_gets_a_still_at_once_and_a_clip_of_before_and_after(trial: Trial) -> None:
    trial.play(6)
    alert_id = trial.alert()
    assert [one for one, _ in trial.published] == [alert_id]
    assert decode_jpeg(trial.published[0][1]).shape == (100, 100, 3)
    assert trial.store.alerts()[0]["parts"] == ["still", "plain"]
    trial.play(2.5)
    assert trial.store.path(alert_id, "clip") is None
    trial.play(1)
    assert len(trial.clip(alert_id)) == pytest.approx(5 * 5, abs=2)
    assert not [path for path in trial.store.folder(alert_id).parent.iterdir() if path.name.startswith(".")]


def test_later_stage_changes_the_message_alone(trial: Trial) -> None:
    trial.play(1)
    alert_id = trial.alert()
    trial.play(4)
    trial.alert(stage="acknowledged")
    trial.alert(stage="open")
    assert trial.store.alerts() == [
        {"alert_id": alert_id, "camera": "a", "stage": "open", "parts": ["still", "plain", "clip"]}
    ]
    assert len(trial.published) == 1


def test_alert_of_a_camera_that_is_lost_keeps_what_was_seen_last(trial: Trial) -> None:
    trial.play(3)
    trial.clock.pass_s(60)
    alert_id = trial.alert()
    trial.clock.pass_s(4)
    trial.recorder.work()
    assert len(trial.clip(alert_id)) == pytest.approx(2 * 5, abs=2)


def test_camera_without_images_leaves_nothing(tmp_path: Path, clock: ManualClock) -> None:
    trial = Trial(tmp_path, clock, images=False)
    trial.play(3)
    trial.alert()
    trial.play(5)
    assert trial.store.alerts() == []
    assert trial.published == []
    assert trial.recorder._recorded == {}


def test_person_of_a_private_stall_is_pixelated_in_still_and_clip(tmp_path: Path, clock: ManualClock) -> None:
    trial = Trial(tmp_path, clock, stall={"enabled": True})
    trial.play(3, NOISE, (10, 10, 90, 90))
    alert_id = trial.alert()
    trial.play(4, NOISE, (10, 10, 90, 90))
    sharp = NOISE[30:70, 30:70].std()
    plain = trial.store.path(alert_id, "plain")
    assert plain is not None
    assert decode_jpeg(plain.read_bytes())[30:70, 30:70].std() < 0.6 * sharp
    frames = [frame.to_ndarray(format="bgr24") for frame in trial.clip(alert_id)]
    assert max(frame[30:70, 30:70].std() for frame in frames) < 0.6 * sharp


def test_memory_is_bounded_in_time_and_in_clips(trial: Trial) -> None:
    trial.play(20)
    shots = trial.recorder._recorded["a"].shots
    assert shots[-1].captured_ns - shots[0].captured_ns <= ns(2)
    for number in range(2 * MAX_CLIPS):
        trial.alert(number)
    assert len(trial.recorder._clips) == MAX_CLIPS
    assert len(trial.store.alerts()) == 2 * MAX_CLIPS


def test_clip_that_is_not_complete_at_the_end_is_kept(trial: Trial) -> None:
    trial.play(2)
    alert_id = trial.alert()
    trial.play(1)
    trial.recorder.work(finish=True)
    assert len(trial.clip(alert_id)) == pytest.approx(3 * 5, abs=2)
