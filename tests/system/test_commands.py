"""Commands to a whole daemon through a real broker, with MQTT 5 and with 3.1.1."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

import cv2
import numpy as np
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.__main__ import main
from edged.app import started_daemon
from edged.capture.sources.image_files import load_image
from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.config.tree import Config
from edged.control.dispatcher import MAX_PENDING_REPLIES
from edged.daemon import Daemon, Options
from edged.messages.build import HeaderFactory, device_status
from edged.messages.bus import Request
from edged.messages.commands import COMMANDS
from edged.messages.topics import COMMAND
from edged.mqtt.client import MqttBus
from edged.runtime.log import RecentLines
from tests.support.mqtt import Listener, Mosquitto, MQTTv5, MQTTv311
from tests.support.recorded import video
from tests.support.schema import schema_errors
from tests.support.threads import running
from tests.support.waiting import LIMIT_S, until
from tools.fleet.brokers import free_port

BOX = "edged/box/"
POSES = f"{BOX}cam/barn/poses"
NewMosquitto = Callable[..., Mosquitto]


class Sender:
    """A client of somebody else's, which sends commands and waits for their answers."""

    def __init__(self, port: int, version: MQTTProtocolVersion) -> None:
        self._v5 = version == MQTTv5
        self._client = Listener(port, "desk/answers" if self._v5 else f"{BOX}cmd/+/result", version=version)
        self.answers = self._client.messages

    def post(self, verb: str, payload: bytes, *, mark: bytes = b"", retain: bool = False) -> None:
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic, properties.CorrelationData = "desk/answers", mark
        self._client.publish(f"{BOX}cmd/{verb}", payload, retain=retain, properties=properties)

    def announce(self, device: str) -> None:
        """Another device, online."""
        sent = self._client.publish(f"edged/{device}/status", b'{"state": "online"}', retain=True)
        sent.wait_for_publish(LIMIT_S)

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The answer to this very command."""
        mark = f"{verb}-{time.monotonic_ns()}"
        self.post(verb, json.dumps({"id": mark, **arguments}).encode(), mark=mark.encode())
        body: dict[str, Any] = json.loads(until(lambda: self._of(mark)).payload)
        assert schema_errors(f"cmd/{verb}/result", body) == []
        assert (body["command"], body["id"]) == (verb, mark)
        return body

    def _of(self, mark: str) -> MQTTMessage | None:
        for message in list(self.answers):
            if json.loads(message.payload)["id"] == mark:
                assert not self._v5 or message.properties.CorrelationData == mark.encode()  # type: ignore[union-attr]
                return message
        return None

    def close(self) -> None:
        self._client.close()


class Site:
    """A box with two cameras that may show pictures of one, and executes what is allowed."""

    def __init__(self, port: int, folder: Path) -> None:
        clip = str(video(folder / "clip.mp4", 20))
        self.path = folder
        self.tables: dict[str, Any] = {
            "device": {"id": "box", "state_dir": str(folder / "state")},
            "mqtt": {"port": port, "reconnect_max_s": 1},
            "publish": {"health_interval_s": 1},
            "commands": {"allow": list(COMMANDS), "response_topics": ["desk"]},
            "cameras": {
                "barn": {"source": clip, "loop": True, "images": True},
                "yard": {"source": clip, "loop": True, "password": "hunter2"},
            },
        }

    def read(self) -> Config:
        """As from a file."""
        return Config.model_validate(self.tables)


@pytest.fixture
def site(mosquitto: Mosquitto, tmp_path: Path) -> Site:
    return Site(mosquitto.port, tmp_path)


@pytest.fixture
def box(site: Site) -> Iterator[Daemon]:
    recent = RecentLines()
    logging.getLogger().addHandler(recent)
    try:
        with (
            started_daemon(site.read(), Options(read_config=site.read, recent_lines=recent)) as daemon,
            running(daemon),
        ):
            until(lambda: {view.state.phase for view in daemon.cameras().values()} == {"online"})
            yield daemon
    finally:
        logging.getLogger().removeHandler(recent)


@pytest.fixture(params=[MQTTv5, MQTTv311], ids=["5", "3.1.1"])
def sender(request: pytest.FixtureRequest, mosquitto: Mosquitto) -> Iterator[Sender]:
    sender = Sender(mosquitto.port, request.param)
    yield sender
    sender.close()


@pytest.fixture
def listener(mosquitto: Mosquitto, listen: Callable[..., Listener]) -> Listener:
    return listen(mosquitto.port)


def rate(listener: Listener, camera: str, seconds: float = 1.0) -> float:
    before = len(listener.bodies(f"{BOX}cam/{camera}/poses"))
    time.sleep(seconds)
    return (len(listener.bodies(f"{BOX}cam/{camera}/poses")) - before) / seconds


@pytest.mark.parametrize("annotated", [True, False])
def test_snapshot_shows_the_frame_of_the_poses_message_that_it_names(
    box: Daemon, sender: Sender, listener: Listener, annotated: bool
) -> None:
    data = sender.ask("snapshot", camera="barn", annotated=annotated)["data"]
    shown = until(lambda: payloads(listener, "cam/barn/snapshot"))[0]
    image = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert (data["image"], data["bytes"]) == ({"w": 320, "h": 240}, len(shown))
    poses = until(lambda: [body for body in listener.bodies(POSES) if body["seq"] == data["seq"]])[0]
    assert (poses["ts"], poses["frame"]) == (data["ts"], data["frame"])
    assert poses["position"] == nearest(poses["source"], image)


def payloads(listener: Listener, path: str) -> list[bytes]:
    return [bytes(message.payload) for message in list(listener.messages) if message.topic == BOX + path]


def nearest(clip: str, image: Any) -> int:
    """The position of the frame of the clip that an image is of."""
    frames, off = cv2.VideoCapture(clip), []
    while (frame := frames.read()[1]) is not None:
        off.append(float(np.abs(frame.astype(int) - image).mean()))
    frames.release()
    return int(np.argmin(off))


def test_snapshot_of_a_camera_without_images_is_rejected(box: Daemon, sender: Sender, listener: Listener) -> None:
    error = sender.ask("snapshot", camera="yard")["error"]
    assert error["got"] == "images = false"
    assert "cameras.yard.images = true" in error["do"]
    assert payloads(listener, "cam/yard/snapshot") == []


def test_restart_camera_opens_one_camera_again(box: Daemon, sender: Sender, listener: Listener) -> None:
    assert sender.ask("restart-camera", camera="barn")["ok"]
    until(lambda: listener.states(f"{BOX}cam/barn/status")[-2:] == ["connecting", "online"])
    until(lambda: rate(listener, "barn", 0.2) > 0)
    assert "connecting" not in listener.states(f"{BOX}cam/yard/status")[1:]


def test_set_rate_limits_one_camera_for_its_seconds(box: Daemon, sender: Sender, listener: Listener) -> None:
    data = sender.ask("set-rate", camera="barn", hz=0.5, seconds=5)["data"]
    assert (data["cameras"], data["hz"]) == (["barn"], 0.5)
    end_ms = data["until_ts"]

    def times_ms(camera: str, from_ms: float, to_ms: float = math.inf) -> list[int]:
        sent_ms = [body["ts"] for body in listener.bodies(f"{BOX}cam/{camera}/poses")]
        return [ts for ts in sent_ms if from_ms < ts < to_ms]

    until(lambda: min(np.diff(times_ms("barn", end_ms)), default=math.inf) < 1000)
    barn, yard = (len(times_ms(camera, end_ms - 4000, end_ms)) for camera in ("barn", "yard"))
    assert 1 <= barn <= 3 < yard


def test_acknowledge_of_an_alert_that_is_not_open_is_rejected(box: Daemon, sender: Sender) -> None:
    assert sender.ask("acknowledge", alert_id="a1")["error"]["what"] == "alert_id"
    assert sender.ask("snooze", alert_id="a1", minutes=5)["error"]["got"] == "'a1'"


def test_diagnose_has_everything_but_secrets(box: Daemon, sender: Sender, listener: Listener) -> None:
    until(lambda: listener.bodies(f"{BOX}health"))
    logging.getLogger("edged").warning("opening rtsp://me:hunter2@10.0.0.1/a")
    data = sender.ask("diagnose")["data"]
    assert data.keys() == {"info", "health", "configuration", "doctor", "log"}
    assert "[cameras.yard]" in data["configuration"]
    assert any("opening rtsp://***@10.0.0.1/…" in line for line in data["log"])
    assert {finding["check"] for finding in data["doctor"]} >= {"OpenCV", "clock", "disk"}
    assert data["health"]["cameras"].keys() == {"barn", "yard"}
    assert "hunter2" not in json.dumps(data)


@pytest.fixture
def elsewhere(mosquitto_binary: str, tmp_path: Path) -> Iterator[Mosquitto]:
    """Another broker."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    broker = Mosquitto(folder=folder, binary=mosquitto_binary).start()
    yield broker
    broker.kill()


def test_reload_is_replied_to_before_the_broker_is_switched(
    box: Daemon, sender: Sender, site: Site, elsewhere: Mosquitto
) -> None:
    here, there = Listener(site.tables["mqtt"]["port"]), Listener(elsewhere.port)
    site.tables["mqtt"] = site.tables["mqtt"] | {"port": elsewhere.port}
    assert sender.ask("reload")["data"] == {"changed": ["mqtt.port"], "restarted": ["broker connection"]}
    until(lambda: there.bodies(POSES))
    assert there.states(f"{BOX}status") == ["online"]
    assert there.bodies(f"{BOX}info")
    assert there.states(f"{BOX}cam/barn/status") == ["online"]
    until(lambda: here.states(f"{BOX}status")[-1] == "stopped")
    for listener in (here, there):
        listener.close()


def test_retained_command_is_rejected_when_sent_and_after_a_reconnect(
    mosquitto: Mosquitto, site: Site, listener: Listener
) -> None:
    sender = Sender(mosquitto.port, MQTTv5)
    result = f"{BOX}cmd/restart-camera/result"
    payload = b'{"camera": "barn"}'
    with started_daemon(site.read()) as daemon, running(daemon):
        until(lambda: listener.bodies(POSES))
        sender.post("restart-camera", payload, retain=True)
        until(lambda: sender.answers)
    with started_daemon(site.read()) as daemon, running(daemon):
        until(lambda: len(sender.answers) == 2 or len(listener.bodies(result)) == 1)
        until(lambda: rate(listener, "barn", 0.2) > 0)
    output = [json.loads(message.payload) for message in sender.answers] + listener.bodies(result)
    assert {body["error"]["got"] for body in output} == {"a retained message"}
    assert listener.states(f"{BOX}cam/barn/status").count("connecting") == 2  # one per start
    sender.close()


def test_flood_of_commands_does_not_disturb_the_poses(
    box: Daemon, mosquitto: Mosquitto, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(mosquitto.port, MQTTv5)
    until(lambda: listener.bodies(POSES))
    first = listener.bodies(POSES)[-1]["seq"]
    for _ in range(1000):
        sender.post("set-rate", b'{"hz": 240}')
    until(lambda: len(sender.answers) >= MAX_PENDING_REPLIES)
    until(lambda: sender.ask("set-rate", hz=240)["ok"])  # refused while too many wait
    seen = [body["seq"] for body in listener.bodies(POSES) if body["seq"] > first]
    assert seen == list(range(first + 1, first + 1 + len(seen)))
    assert len(seen) > 5
    assert box.mqtt_stats["dropped"] == 0
    assert len([record for record in caplog.records if "get no reply" in record.message]) == 1
    sender.close()


def deaf(folder: Path) -> tuple[str, ...]:
    """Lines for a broker on which all may publish and none may subscribe; ACL files cannot say that."""
    plugin = next(Path("/usr/lib").rglob("mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("mosquitto has no dynamic security plugin here")
    rights = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    (folder / "dynsec.json").write_text(json.dumps({"defaultACLAccess": rights}))
    return f"plugin {plugin}", f"plugin_opt_config_file {folder / 'dynsec.json'}"


def test_refused_subscription_to_commands_is_logged_once(
    new_mosquitto: NewMosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = new_mosquitto("allow_anonymous true", *deaf(tmp_path))
    listener: list[Request] = []
    headers = HeaderFactory(type("Wall", (), {"synced": True, "utc_ms": lambda self, ns: 0})())
    bus = MqttBus(
        MqttConfig(port=broker.port, reconnect_max_s=1),
        "box",
        lambda state: device_status(headers, state),
        PublishConfig(),
    )
    try:
        bus.subscribe(COMMAND.at(command="+"), listener.append)
        until(lambda: "edged/box/cmd/+ was refused" in caplog.text)
        broker.kill()
        broker.start()
        until(lambda: bus.stats["reconnects"] and bus.stats["refused"] == 2)
    finally:
        bus.close()
    assert caplog.text.count("edged/box/cmd/+ was refused") == 1


def sent(site: Site, *arguments: str) -> int:
    broker = site.tables["mqtt"]
    return main(["send", *arguments, "--host", "127.0.0.1", "--port", str(broker["port"]), "--to", "box"])


def test_edged_send_prints_the_reply(box: Daemon, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert sent(site, "set-rate", "camera=barn", "hz=5") == 0
    assert json.loads(capsys.readouterr().out) == {"cameras": ["barn"], "hz": 5, "until_ts": None}
    assert sent(site, "set-rate", "camera=7", "hz=5") == 1
    assert "camera: got '7'\n  want one of barn, yard\n" in capsys.readouterr().err


def to_any(site: Site, *arguments: str) -> int:
    """Sent without --to."""
    return main(["send", *arguments, "--host", "127.0.0.1", "--port", str(site.tables["mqtt"]["port"])])


def test_edged_send_writes_the_picture_that_the_only_device_sent(
    box: Daemon, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert to_any(site, "snapshot", "camera=barn", "--out", str(tmp_path / "barn.jpg")) == 0
    reply = json.loads(capsys.readouterr().out)
    assert (tmp_path / "barn.jpg").stat().st_size == reply["bytes"]
    assert load_image(tmp_path / "barn.jpg").shape[:2] == (reply["image"]["h"], reply["image"]["w"])


def test_edged_send_lists_the_devices_where_it_must_choose(
    box: Daemon, site: Site, sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    sender.announce("other")
    assert to_any(site, "set-rate", "hz=5") == 2
    assert "below edged/: box, other" in capsys.readouterr().err


def test_edged_send_out_of_a_command_without_a_picture_exits_2(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sent(site, "set-rate", "hz=5", "--out", str(tmp_path / "x.jpg")) == 2
    assert "--out: only snapshot and day" in capsys.readouterr().err


def test_edged_send_reports_a_missing_reply(mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("reload", "--host", "127.0.0.1", "--to", "box", "--within", "0.3")
    assert main(["send", *command, "--port", str(mosquitto.port)]) == 1
    assert "edged/box/cmd/reload: no answer within 0.3 s" in capsys.readouterr().err
    assert main(["send", *command, "--port", str(free_port())]) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_edged_send_reports_a_refused_publish(
    new_mosquitto: NewMosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = new_mosquitto("allow_anonymous true", *deaf(tmp_path))
    assert main(["send", "reload", "--host", "127.0.0.1", "--port", str(broker.port), "--to", "box"]) == 1
    assert "edged/box/cmd/reload/result: the broker refused it" in capsys.readouterr().err


def test_edged_send_argument_without_a_value_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "set-rate", "5", "--host", "127.0.0.1"]) == 2
    assert "want NAME=VALUE; arguments of set-rate: id, hz, camera, seconds" in capsys.readouterr().err
