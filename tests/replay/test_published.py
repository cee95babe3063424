"""Everything that the daemon really publishes keeps to the schemas it ships with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")
pytest.importorskip("jsonschema", reason="needs jsonschema; install edged[dev]")

from edged.adapters.broker import EmbeddedBroker
from edged.config import Config
from edged.serve import daemon
from tests.contract import faults
from tests.replay.recorded import images, picture, video
from tests.system.conftest import Listener, MQTTv311, until
from tests.threads import running
from tools.demo import CLIP

ROOT = "site/box/"
FLOOR = [[0, 359], [639, 359], [639, 150], [0, 150]]


def configuration(broker: EmbeddedBroker, folder: Path) -> dict[str, Any]:
    """A clip that plays for ever, a camera in the dark, one that is not there, and a stall."""
    return {
        "device": {"id": "box", "state": str(folder / "state")},
        "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1", "base": "site"},
        "publish": {"smoothed": True, "health_s": 1, "daily_s": 10},
        "cameras": {
            "barn": {"source": str(video(folder / "clip.mp4", 20)), "loop": True},
            "night": {"source": str(images(folder / "night", picture(grey=0))), "loop": True, "fps": 5},
            "gone": {"source": str(folder / "absent.mp4")},
            "box": {
                "source": str(CLIP),
                "loop": True,
                "stall": {"enabled": True, "floor": FLOOR},
                "aisle": {"enabled": True},
            },
        },
    }


def watched(states: list[Any]) -> bool:
    return any(state["stall"] and state["stall"]["posture"] != "unknown" for state in states)


def test_every_message_of_a_running_daemon_keeps_to_the_contract(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        heard = Listener(broker.port, version=MQTTv311)
        with daemon(Config.model_validate(configuration(broker, tmp_path))) as made, running(made):
            until(lambda: heard.bodies(ROOT + "cam/night/state") and heard.bodies(ROOT + "cam/barn/daily"))
            until(lambda: len(heard.bodies(ROOT + "health")) > 2)
            until(lambda: watched(heard.bodies(ROOT + "cam/box/state")), 60)
            until(lambda: any(day["stall"] and day["gait"] for day in heard.bodies(ROOT + "cam/box/daily")), 30)
        until(lambda: "stopped" in heard.states(ROOT + "status"))
        heard.close()
    said = [(message.topic.removeprefix(ROOT), json.loads(message.payload)) for message in heard.messages]
    assert [fault for path, body in said for fault in faults(path, body)] == []
    assert {path.split("/")[-1] for path, _ in said} >= {"status", "info", "health", "poses", "state", "daily"}
    poses = [body for path, body in said if path == "cam/box/poses"]
    assert {subject["class"] for body in poses for subject in body["subjects"]} == {"horse"}, "of people nothing leaves"
