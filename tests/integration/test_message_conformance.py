"""All messages of a running daemon conform to the schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")
pytest.importorskip("jsonschema", reason="needs jsonschema; install edged[dev]")

import cv2
import numpy as np

from edged.app import started_daemon
from edged.config.tree import Config
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.mqtt import Listener, MQTTv311
from tests.support.recorded import images, picture, video
from tests.support.schema import schema_errors
from tests.support.small_nets import kept
from tests.support.threads import running
from tests.support.waiting import until
from tools.demo import CLIP

PADDOCK = Path(__file__).parents[2] / "tools/synth/stills/paddock.webp"
ROOT = "site/box/"
COMPUTED_S = 300.0  # until there is a sign of each kind; five cameras and five models share what cores there are
LIFTED = {"lift": "convnextpose-s", "root": "rootnet"}
FLOOR = [[0, 359], [639, 359], [639, 150], [0, 150]]


def configuration(broker: EmbeddedBroker, folder: Path) -> dict[str, Any]:
    """A clip in a loop, a dark camera, a missing camera, a stall, and people in 3D."""
    return {
        "device": {"id": "box", "state_dir": str(folder / "state")},
        "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1", "base_topic": "site"},
        "models": {"store": str(kept(folder / "models", "convnextpose-s", "rootnet")), **LIFTED},
        "publish": {"smoothed": True, "health_interval_s": 1, "daily_interval_s": 10},
        "cameras": {
            "barn": {"source": str(video(folder / "clip.mp4", 20)), "loop": True, "fps": 2},
            "night": {"source": str(images(folder / "night", picture(grey=0))), "loop": True, "fps": 2},
            "paddock": {
                "source": str(images(folder / "paddock", np.asarray(cv2.imread(str(PADDOCK))))),
                "loop": True,
                "fps": 2,
                "lift": True,
                "intrinsics": {"fx": 700, "fy": 700, "cx": 320, "cy": 180, "distortion": [-0.1, 0.01]},
            },
            "gone": {"source": str(folder / "absent.mp4")},
            "box": {
                "source": str(CLIP),
                "loop": True,
                "stall": {"enabled": True, "floor": FLOOR},
                "aisle": {"enabled": True},
            },
        },
    }


def posture_is_known(states: list[Any]) -> bool:
    return any(state["stall"] and state["stall"]["posture"] != "unknown" for state in states)


def people(poses: list[Any]) -> list[Any]:
    return [subject for body in poses for subject in body["subjects"] if subject["class"] == "person"]


def test_every_message_of_a_running_daemon_conforms_to_its_schema(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        listener = Listener(broker.port, version=MQTTv311)
        with started_daemon(Config.model_validate(configuration(broker, tmp_path))) as made, running(made):
            for sign in (
                lambda: listener.bodies(ROOT + "cam/night/state") and listener.bodies(ROOT + "cam/barn/daily"),
                lambda: len(listener.bodies(ROOT + "health")) > 2,
                lambda: posture_is_known(listener.bodies(ROOT + "cam/box/state")),
                lambda: any(one.get("keypoints_3d") for one in people(listener.bodies(ROOT + "cam/paddock/poses"))),
                lambda: any(day["stall"] and day["gait"] for day in listener.bodies(ROOT + "cam/box/daily")),
            ):
                until(sign, COMPUTED_S)
        until(lambda: "stopped" in listener.states(ROOT + "status"))
        listener.close()
    received = [(message.topic.removeprefix(ROOT), json.loads(message.payload)) for message in listener.messages]
    assert [error for path, body in received for error in schema_errors(path, body)] == []
    assert {path.split("/")[-1] for path, _ in received} >= {"status", "info", "health", "poses", "state", "daily"}
    lifted = [
        person["keypoints_3d"] for person in people([body for path, body in received if path == "cam/paddock/poses"])
    ]
    assert {(pose["depth_source"], pose["focal_source"]) for pose in lifted} == {("rootnet", "given")}
    poses = [body for path, body in received if path == "cam/box/poses"]
    assert {subject["class"] for body in poses for subject in body["subjects"]} == {"horse"}, (
        "people of a stall are not published"
    )
