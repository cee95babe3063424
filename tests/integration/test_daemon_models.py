"""The daemon with missing or unverified models: poses, boxes without poses, or cameras only, always reported."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

from edged.app import started_daemon
from edged.config.tree import Config
from edged.daemon import Daemon
from edged.inference import engine_builder
from edged.inference.cpu.onnxruntime import OrtSession
from edged.mqtt.embedded_broker import EmbeddedBroker
from engines.card import Card
from engines.catalogue import load
from engines.store.model_store import ModelStore
from tests.support.mqtt import Listener
from tests.support.recorded import video
from tests.support.schema import schema_errors
from tests.support.threads import running
from tests.support.waiting import until

ROOT = "edged/box/"
HERE = {"person": "rtmpose-t-coco17", "horse": "rtmpose-t-ap10k-horse"}


def configured(broker: EmbeddedBroker, folder: Path, **models: Any) -> Config:
    return Config.model_validate(
        {
            "device": {"id": "box", "state_dir": str(folder)},
            "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
            "models": {"store": str(folder / "models"), **models},
            "publish": {"health_interval_s": 1},
            "cameras": {"stall": {"source": str(video(folder / "clip.mp4", 20)), "loop": True, "fps": 10}},
        }
    )


def last_health(listener: Listener) -> dict[str, Any]:
    until(lambda: listener.bodies(ROOT + "health"))
    return listener.bodies(ROOT + "health")[-1]


def test_missing_pose_model_leaves_boxes_of_its_class_and_is_reported(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pose = {**HERE, "person": "rtmpose-m-body17"}
    with started_daemon(configured(broker, tmp_path, pose=pose)) as daemon, running(daemon):
        until(lambda: listener.bodies(ROOT + "cam/stall/poses"))
        health = last_health(listener)
    assert (health["models"]["service_level"], list(daemon.models.poses)) == ("poses", ["horse"])
    assert health["models"]["runtime_by_model"]["rtmpose-m-body17"] == "nothing"
    assert ("model-missing", "rtmpose-m-body17") in {(p["code"], p["source"]) for p in health["problems"]}
    assert caplog.text.count("edged models pull rtmpose-m-body17") == 1


def test_without_any_pose_model_boxes_are_served(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with started_daemon(configured(broker, tmp_path, pose={"person": "rtmpose-m-body17"})) as daemon:
        assert daemon.models.service_level == "boxes"


def test_missing_detector_leaves_cameras_and_degraded_frames(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path
) -> None:
    settings = configured(broker, tmp_path, detector="rtmdet-nano-person", pose={"person": HERE["person"]})
    with started_daemon(settings) as daemon, running(daemon):
        until(lambda: listener.bodies(ROOT + "cam/stall/poses"))
        until(lambda: listener.bodies(ROOT + "health")[-1]["cameras"]["stall"]["state"] == "online")
        health = last_health(listener)
    body = listener.bodies(ROOT + "cam/stall/poses")[0]
    assert ("no-model" in body["degraded"], body["subjects"]) == (True, [])
    assert health["models"]["service_level"] == "cameras"
    assert schema_errors("cam/stall/poses", body) == schema_errors("health", health) == []


class StandInEngine:
    """A session in place of an engine on a GPU."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self._session = OrtSession(card, ModelStore(Path("absent")).path(card))
        self.runs = 0
        self.closed = False

    def run(self, tensor: Any) -> Any:
        self.runs += 1
        return self._session.run(tensor)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandInEngine:
    engine = StandInEngine(load(None)["det-person-horse"])
    monkeypatch.setattr(engine_builder, "trt_session", lambda *_: engine)
    return engine


def report_ready(daemon: Daemon, engine: StandInEngine) -> None:
    """As the thread `engine-builds` does it."""
    job = SimpleNamespace(card=engine.card, model=None, options=None)
    stored = SimpleNamespace(read=lambda: b"plan")
    thread = threading.Thread(target=daemon.on_engine_ready, args=(job, stored))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_verified_engine_is_swapped_in_and_closed_at_end(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, engine: StandInEngine
) -> None:
    with started_daemon(configured(broker, tmp_path)) as daemon, running(daemon):
        until(lambda: listener.bodies(ROOT + "cam/stall/poses"))
        report_ready(daemon, engine)
        before = len(listener.bodies(ROOT + "cam/stall/poses"))
        until(lambda: len(listener.bodies(ROOT + "cam/stall/poses")) > before + 5)
        assert daemon.models.runtime_by_model == {
            "det-person-horse": "tensorrt",
            "rtmpose-t-coco17": "onnxruntime",
            "rtmpose-t-ap10k-horse": "onnxruntime",
        }
        assert daemon.cameras()["stall"].counts.failed == 0
    assert (engine.runs > 5, engine.closed) == (True, True)
