"""A running daemon gets another configuration: only the changed parts restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

from edged.app import started_daemon
from edged.config.load import load
from edged.config.toml_text import dump
from edged.config.tree import Config
from edged.daemon import Daemon, Options
from edged.errors import ConfigError
from edged.mqtt.embedded_broker import EmbeddedBroker
from edged.provisioning.desired import Desired, seal
from edged.provisioning.signature import signer_lines
from tests.support.mqtt import Listener, MQTTv311
from tests.support.recorded import LIMIT_S, video
from tests.support.schema import schema_errors
from tests.support.signing import new_key, public
from tests.support.threads import running
from tests.support.waiting import until

RESULT = "edged/box/cmd/reload/result"


class Site:
    """A configuration that changes, the daemon that runs by it, and who listens."""

    def __init__(self, folder: Path, broker: EmbeddedBroker) -> None:
        clip = str(video(folder / "clip.mp4", 20))
        self.tables: dict[str, Any] = {
            "device": {"id": "box", "state_dir": str(folder / "state")},
            "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
            "publish": {"max_rate_hz": 20, "health_interval_s": 1},
            "cameras": {name: {"source": clip, "loop": True} for name in ("barn", "yard")},
        }
        self.error: ConfigError | None = None
        self.listener = Listener(broker.port, version=MQTTv311)

    def read(self) -> Config:
        if self.error is not None:
            raise self.error
        return Config.model_validate(self.tables)

    @contextmanager
    def run(self) -> Iterator[Daemon]:
        with started_daemon(self.read(), Options(read_config=self.read)) as daemon, running(daemon):
            self.seen("barn")
            self.seen("yard")
            yield daemon

    def reload(self, daemon: Daemon) -> dict[str, Any]:
        """The answer."""
        before = len(self.listener.bodies(RESULT))
        daemon.reload()
        until(lambda: len(self.listener.bodies(RESULT)) > before)
        return self.listener.bodies(RESULT)[-1]

    def poses(self, camera: str) -> list[dict[str, Any]]:
        return self.listener.bodies(f"edged/box/cam/{camera}/poses")

    def seen(self, camera: str) -> None:
        """New poses of the camera come in."""
        before = len(self.poses(camera))
        until(lambda: len(self.poses(camera)) > before + 2)

    def states(self, camera: str) -> list[str]:
        """From the first `online` on: before the broker is found, that overtakes `connecting`."""
        every = [body["state"] for body in self.listener.bodies(f"edged/box/cam/{camera}/status")]
        return every[every.index("online") :]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with EmbeddedBroker() as broker:
        site = Site(tmp_path, broker)
        yield site
        site.listener.close()


def test_camera_with_another_pipeline_stays_open(site: Site) -> None:
    with site.run() as daemon:
        site.tables["cameras"]["barn"]["roi"] = [0, 0, 160, 240]
        answer = site.reload(daemon)
        assert (answer["ok"], answer["data"]) == (True, {"changed": ["cameras.barn.roi"], "restarted": []})
        site.seen("barn")
        assert site.states("barn") == ["online"]
        assert daemon.config.cameras["barn"].roi == (0, 0, 160, 240)


def test_allowed_commands_and_discovery_change_in_place(site: Site) -> None:
    with site.run() as daemon:
        site.tables |= {"commands": {"allow": ["reload"]}, "homeassistant": {"enabled": True}}
        assert site.reload(daemon)["data"]["restarted"] == []
        until(lambda: any(message.topic.startswith("homeassistant/") for message in list(site.listener.messages)))
        site.listener.publish("edged/box/cmd/reload", b"{}")
        until(lambda: len(site.listener.bodies(RESULT)) == 2)
        assert site.listener.bodies(RESULT)[-1]["ok"]


def test_only_the_camera_with_another_source_is_reopened_and_its_counts_continue(site: Site, tmp_path: Path) -> None:
    with site.run() as daemon:
        site.tables["cameras"]["barn"]["source"] = str(video(tmp_path / "other.mp4", 20))
        assert site.reload(daemon)["data"]["restarted"] == ["camera barn"]
        until(lambda: site.poses("barn")[-1]["source"].endswith("other.mp4"))
        frames = [body["frame"] for body in site.poses("barn")]
        assert frames == sorted(set(frames))
        assert site.states("barn") == ["online", "connecting", "online"]
        assert site.states("yard") == ["online"]


def test_camera_is_added_and_another_removed(site: Site) -> None:
    with site.run() as daemon:
        site.tables["cameras"]["box"] = site.tables["cameras"].pop("yard")
        assert site.reload(daemon)["data"]["restarted"] == ["camera box", "camera yard"]
        site.seen("box")
        site.seen("barn")
        until(lambda: site.listener.bodies("edged/box/cam/box/state"))
        gone = len(site.poses("yard"))
        until(lambda: [m for m in site.listener.messages if (m.topic, m.payload) == ("edged/box/cam/yard/status", b"")])
        until(lambda: list(site.listener.bodies("edged/box/health")[-1]["cameras"]) == ["barn", "box"])
        assert list(site.listener.bodies("edged/box/info")[-1]["cameras"]) == ["barn", "box"]
        assert len(site.poses("yard")) == gone
        assert list(daemon.cameras()) == ["barn", "box"]


def test_cores_are_shared_anew_among_the_cameras_that_are_left(site: Site) -> None:
    site.tables["compute"] = {"cpu_runtime": "onnxruntime", "threads": 2}
    with site.run() as daemon:
        assert (daemon.models.frames_at_once, daemon.models.threads) == (2, 1)
        del site.tables["cameras"]["yard"]
        assert site.reload(daemon)["data"]["restarted"] == ["models", "camera yard"]
        assert (daemon.models.frames_at_once, daemon.models.threads) == (1, 2)
        site.seen("barn")


def test_models_are_loaded_again_while_cameras_stay_open(site: Site) -> None:
    with site.run() as daemon:
        before, closed = daemon.models, []
        before.backend.close = lambda: closed.append(1)  # type: ignore[method-assign]
        site.tables["models"] = {"pose": {"horse": "rtmpose-t-ap10k-horse"}}
        assert site.reload(daemon)["data"]["restarted"] == ["models"]
        assert daemon.models is not before
        assert closed == [1]
        site.seen("barn")
        assert site.states("barn") == ["online"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no camera": ({"cameras": {}}, "no camera is configured"),
    "no such model": ({"models": {"detector": "nosuch"}}, "models.detector = 'nosuch': no such card"),
    "no CA": ({"mqtt": {"tls": {"enabled": True, "ca": "/nosuch"}}}, "mqtt.tls.ca = /nosuch"),
}


@pytest.mark.parametrize(("tables", "output"), REFUSED.values(), ids=REFUSED)
def test_unusable_configuration_changes_nothing(site: Site, tables: dict[str, Any], output: str) -> None:
    with site.run() as daemon:
        before = daemon.config
        site.tables = site.tables | tables | {"publish": {"max_rate_hz": 1}}
        answer = site.reload(daemon)
        assert answer["ok"] is False
        assert output in answer["error"]["got"]
        assert daemon.config is before
        site.seen("barn")
        assert schema_errors("cmd/reload/result", answer) == []


def test_invalid_file_is_rejected_with_its_lines(site: Site) -> None:
    with site.run() as daemon:
        site.error = ConfigError("edged.toml:3 cameras.barn.fps = -1: must be 0..240 Hz; raise it")
        error = site.reload(daemon)["error"]
        assert (error["what"], error["got"][:26]) == ("configuration", "edged.toml:3 cameras.barn.")
        site.seen("barn")


def test_key_that_needs_a_restart_ends_the_loop_with_a_next_config(site: Site) -> None:
    stop = threading.Event()
    with started_daemon(site.read(), Options(read_config=site.read)) as daemon:
        loop = threading.Thread(target=daemon.run, args=(stop,))
        loop.start()
        site.tables["device"] = site.tables["device"] | {"id": "other"}
        assert site.reload(daemon)["data"] == {"changed": ["device.id"], "restarted": ["everything"]}
        loop.join(LIMIT_S)
        assert not loop.is_alive()
    assert daemon.next_config == site.read()


def test_sighup_reloads_the_file_and_restarts_the_daemon_where_needed(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    barn, mqtt, state = site.tables["cameras"]["barn"]["source"], site.tables["mqtt"], tmp_path / "state"
    text = f"""[device]\nid = "box"\nstate_dir = "{state}"\n[mqtt]\nhost = "{mqtt["host"]}"\nport = {mqtt["port"]}
protocol = "3.1.1"\n[cameras.barn]\nsource = "{barn}"\nloop = true\n"""
    path.write_text(text)
    command = [sys.executable, "-m", "edged", "run", "--config", str(path), "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        try:
            site.seen("barn")
            path.write_text(text + "fps = -1\n")
            os.kill(child.pid, signal.SIGHUP)
            until(lambda: site.listener.bodies(RESULT))
            assert f"{path}:11 cameras.barn.fps" in site.listener.bodies(RESULT)[0]["error"]["got"]
            path.write_text(text.replace('"box"', '"other"'))
            os.kill(child.pid, signal.SIGHUP)
            until(lambda: site.listener.bodies("edged/other/cam/barn/poses"))
            until(lambda: site.listener.bodies("edged/box/status")[-1] == {})  # cleared: nobody is online there
            assert site.listener.bodies("edged/box/status")[-2]["state"] == "stopped"
        finally:
            child.send_signal(signal.SIGTERM)
            _, output = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 0, output
    assert "Traceback" not in output


def command(site: Site, verb: str, **arguments: Any) -> dict[str, Any]:
    """The answer."""
    topic = f"edged/box/cmd/{verb}/result"
    before = len(site.listener.bodies(topic))
    site.listener.publish(f"edged/box/cmd/{verb}", json.dumps(arguments).encode())
    until(lambda: len(site.listener.bodies(topic)) > before)
    return site.listener.bodies(topic)[-1]


def last_of(site: Site, path: str) -> dict[str, Any]:
    """The last message below the device's topics; empty if there is none yet."""
    return next(iter(site.listener.bodies(f"edged/box/{path}")[-1:]), {})


def test_only_camera_is_switched_off_over_a_restart_and_on_again(site: Site) -> None:
    del site.tables["cameras"]["yard"]
    site.tables |= {"commands": {"allow": ["switch"]}, "homeassistant": {"enabled": True}}
    with started_daemon(site.read()) as daemon, running(daemon):
        site.seen("barn")
        answer = command(site, "switch", camera="barn", what="camera", on=False)
        assert answer["data"]["cameras"]["barn"]["camera"] == {"on": False, "until_ts": None}
        until(lambda: site.states("barn")[-1] == "off")
        until(lambda: last_of(site, "cam/barn/state").get("view") == "unknown")
        until(lambda: last_of(site, "switches").get("cameras") == answer["data"]["cameras"])
        assert schema_errors("switches", site.listener.bodies("edged/box/switches")[-1]) == []
    off = len(site.poses("barn"))
    with started_daemon(site.read()) as daemon, running(daemon):
        until(lambda: site.listener.states("edged/box/status").count("online") == 2)
        assert daemon.cameras() == {}
        assert command(site, "switch", camera="barn", what="images", on=True)["error"]["got"] == "images = false"
        assert len(site.poses("barn")) == off
        assert command(site, "switch", camera="barn", what="camera", on=True)["ok"]
        site.seen("barn")
    found = [m.payload for m in list(site.listener.messages) if m.topic == "homeassistant/device/box/box_barn/config"]
    assert all(b"camera_switch" in payload for payload in found)


def test_settings_of_the_fleet_are_applied_and_reported(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path)
    monkeypatch.setattr("edged.app.signers", lambda _: signer_lines(public(key), "site.pub"))
    site.tables["fleet"] = {"group": "barns"}
    (tmp_path / "edged.toml").write_text(dump(site.tables))
    options = Options(read_config=lambda: load(tmp_path, env={}), etc=tmp_path)
    message = seal(Desired(group="barns", number=1, configuration='commands.allow = ["reload"]\n'), key)
    site.listener.publish("edged/fleet/barns/desired", message, retain=True)
    with started_daemon(load(tmp_path, env={}), options) as daemon, running(daemon):
        until(lambda: [body["state"] for body in site.listener.bodies("edged/box/reported")][-1:] == ["applied"])
        assert daemon.config.commands.allow == ("reload",)
        assert schema_errors("reported", site.listener.bodies("edged/box/reported")[-1]) == []
