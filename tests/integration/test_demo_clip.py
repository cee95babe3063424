"""The clip that `make run` plays: its content, its source, and the accuracy of the pipeline on it."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")


from edged.config.tables.mqtt import MqttConfig
from tests.support.clips import write_video
from tests.support.recorded import Command
from tools.clip_images import clip_images
from tools.demo import CLIP
from tools.evaluate.clip import Score, read_truth, report
from tools.look import demo_config

ROOT = Path(__file__).parents[2]
RATE_HZ = 15
FINE = {"preset": "ultrafast", "bf": "0", "crf": "12"}  # of x264, so that what is measured is the committed clip
# Measured on it, less a little for other processors.
FLOORS = {
    "horse": {"recall": 0.92, "precision": 0.92, "PCK@0.2 torso": 0.88, "PCK@0.1 box side": 0.87},
    "person": {"recall": 0.90, "precision": 0.95, "PCK@0.2 torso": 0.81},
}


@pytest.fixture(scope="module")
def frames() -> list[Any]:
    return list(clip_images(CLIP))


@pytest.fixture(scope="module")
def scores(frames: list[Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Score]:
    """Of every second frame, at its time: as good for these figures, in half the time."""
    half = tmp_path_factory.mktemp("half") / "half.mp4"
    write_video(half, frames[::2], times_ms=[2000 * n // RATE_HZ for n in range(len(frames) // 2)], options=FINE)
    half.with_suffix(".json.gz").write_bytes(gzip.compress(json.dumps({"frames": read_truth(CLIP)[::2]}).encode()))
    return {score.kind: score for score in report(half)}


def test_clip_is_small_and_has_truth_for_every_frame(frames: list[Any]) -> None:
    assert CLIP.stat().st_size < 2_000_000
    assert len(frames) == len(read_truth(CLIP)) == 300


def test_clip_contains_the_expected_behaviours() -> None:
    seen = {(s["class"], s["behaviour"]) for subjects in read_truth(CLIP) for s in subjects}
    assert seen >= {("horse", b) for b in ("walking", "feeding", "lying down", "sternal", "rising", "standing")}
    assert ("person", "walking") in seen


def test_clip_begins_in_colour_and_ends_in_infrared(frames: list[Any]) -> None:
    day, night = (np.ptp(frame.astype(int), axis=2).mean() for frame in (frames[0], frames[-1]))
    assert day > 20
    assert night < 4


def test_demo_configuration_plays_the_clip(edged: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = edged("config", "show", "configs/demo.toml")
    assert str(CLIP.relative_to(ROOT)) in done.stdout


def test_report_of_a_first_look_plays_the_clip(tmp_path: Path) -> None:
    camera = demo_config(MqttConfig(), tmp_path).cameras["stall"]
    assert (camera.source_kind, camera.source.reveal()) == ("files", str(CLIP))


def test_snapshot_of_the_demo_says_what_the_horse_does(
    edged: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = edged("snapshot", "--config", "configs/demo.toml", "--out", tmp_path / "stall.jpg")
    assert done.returncode == 0, done.stderr
    assert "  horse: standing, head " in done.stdout
    assert "horse #1 " in done.stdout


@pytest.mark.parametrize("kind", FLOORS)
def test_pipeline_accuracy_on_the_clip_is_not_below_its_floor(scores: dict[str, Score], kind: str) -> None:
    measured = {"recall": scores[kind].recall, "precision": scores[kind].precision, **scores[kind].pck}
    assert {name: round(value, 3) for name, value in measured.items() if value < FLOORS[kind][name]} == {}
