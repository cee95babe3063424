"""No secret leaves the device: one is planted in every field that can hold one, and everything emitted is searched."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from edged.__main__ import main
from edged.app import started_daemon
from edged.commands import _print_traceback
from edged.config.load import load
from edged.config.schema import NAME, all_keys, node_at
from edged.config.toml_text import dump
from edged.config.tree import Config
from edged.daemon import Options
from edged.mqtt.request import request
from edged.runtime.log import RecentLines
from tests.support.mqtt import Listener, Mosquitto
from tests.support.threads import running
from tests.support.waiting import until
from tools.fleet.brokers import free_port

SECRET = "s3cr3t"  # in every planted value, with a number of its own after it
ECHO = b"RTSP/1.0 500 no stream for "  # a camera that repeats what it was asked for


def planted_keys() -> set[str]:
    """The keys whose value is a secret, as the schema has them."""
    return {".".join(key) for key in all_keys() if (node := node_at(key)) and node.is_secret}


@pytest.fixture
def echoing_camera() -> Iterator[int]:
    """The port of a camera that answers every request with the request, in its status line."""
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    listener.settimeout(0.2)

    def serve() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(5)
                try:
                    asked = client.recv(4096).split(b"\r\n")[0]
                    client.sendall(ECHO + asked + b"\r\nCSeq: 1\r\n\r\n")
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    stop.set()
    thread.join(30)
    listener.close()


def sources(port: int) -> dict[str, str]:
    """Network addresses with a secret in each place where cameras have one."""
    at = f"127.0.0.1:{port}"
    return {
        "login": f"rtsp://admin:{SECRET}1@{at}/live",
        "recorder": f"rtsp://{at}/user=admin_password={SECRET}2_{SECRET}3_channel=1_stream=0.sdp",
        "token": f"rtsp://{at}/live?token={SECRET}4",
        "query": f"rtsp://{at}/x?loginuse=admin&loginpas={SECRET}5&authbasic={SECRET}6&access_token={SECRET}7",
        "path": f"rtsp://{at}/{SECRET}8/1",
        "closed": f"rtsp://admin:{SECRET}9@127.0.0.1:1/{SECRET}10",
    }


def configuration(folder: Path, broker_port: int, camera_port: int) -> dict[str, object]:
    assert planted_keys() == {"mqtt.password", "mqtt.websocket_path", "panel.token", f"cameras.{NAME}.password"}
    shared = {"open_timeout_s": 2, "retry_max_s": 0.5}
    cameras = {name: {"source": source, **shared} for name, source in sources(camera_port).items()}
    cameras["key"] = {
        "source": f"rtsp://127.0.0.1:{camera_port}/a",
        "username": "u",
        "password": f"{SECRET}11",
        **shared,
    }
    mqtt = {"port": broker_port, "username": "u", "password": f"{SECRET}12", "websocket_path": f"/{SECRET}13"}
    return {
        "device": {"id": "box", "state_dir": str(folder / "state")},
        "mqtt": mqtt,
        "panel": {"enabled": True, "port": free_port(), "token": f"{SECRET}14-long-enough"},
        "publish": {"health_interval_s": 1},
        "commands": {"allow": ["diagnose", "snooze"]},
        "cameras": cameras,
    }


def commands_output(folder: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the commands print about a configuration, right and wrong ones."""
    wrong = folder / "wrong.toml"
    broken = file.read_text().replace("rtsp://", "rtmp://") + f'\n[mqtt.tls]\nca = "x"\nkey = "{SECRET}20"\n'
    wrong.write_text(broken)
    (folder / "syntax.toml").write_text(f'[mqtt]\npassword = "{SECRET}21\n')
    words = [
        ["config", "show", "--config", str(file)],
        ["config", "show", "--origin", "--config", str(file)],
        ["check", str(file)],
        ["check", str(wrong)],
        ["check", str(folder / "syntax.toml")],
        ["doctor", "--config", str(file)],
        ["doctor", "--quick", "--json", "--config", str(file)],
        ["snapshot", "login", "--config", str(file), "--out", str(folder / "x.jpg")],
        ["provision", str(file), "--root", str(folder / "root")],
    ]
    for argv in words:
        try:
            main(argv)
        except SystemExit as exit_:
            assert exit_.code != 0  # noqa: PT017
    out, err = capsys.readouterr()
    return out + err


def test_no_planted_secret_is_emitted(
    mosquitto: Mosquitto,
    listen: Callable[..., Listener],
    echoing_camera: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(dump(configuration(tmp_path, mosquitto.port, echoing_camera)))
    config, lines = load(file, env={}), RecentLines(10_000)
    listener = listen(mosquitto.port)
    logging.getLogger().addHandler(lines)
    logging.getLogger().setLevel(logging.INFO)
    try:
        with started_daemon(config, Options(recent_lines=lines)) as daemon, running(daemon):
            lost = {f"edged/box/cam/{name}/status" for name in config.cameras}
            until(lambda: all("lost" in listener.states(topic) for topic in lost), 120)
            until(lambda: listener.bodies("edged/box/health") and listener.bodies("edged/box/health")[-1]["problems"])
            answer = request(config.mqtt, "box", "diagnose", {}, 30)
    finally:
        logging.getLogger().removeHandler(lines)
        logging.getLogger().setLevel(logging.WARNING)
    emitted = {message.topic: message.payload.decode(errors="replace") for message in listener.messages}
    emitted |= {"answer": json.dumps(answer), "log": "\n".join(lines.lines), "repr": f"{config!r} {config}"}
    emitted["commands"] = commands_output(tmp_path, file, capsys)
    emitted["settings"] = (tmp_path / "root/etc/edged/conf.d/50-box.toml").read_text()
    emitted["traceback"] = traceback_of(config, capsys)
    found = {name: text[max(0, at - 80) : at + 40] for name, text in emitted.items() if (at := text.find(SECRET)) >= 0}
    assert found == {}
    assert "no stream for DESCRIBE" in json.dumps(emitted)  # the camera's own words are passed on
    assert emitted["commands"].count("rtsp://") > len(config.cameras)


def traceback_of(config: Config, capsys: pytest.CaptureFixture[str]) -> str:
    """That of a library's error which holds an address."""
    try:
        raise OSError(f"cannot open {config.cameras['login'].source.reveal()}")
    except OSError:
        kind, error, at = sys.exc_info()
        assert kind is not None
        assert error is not None
        _print_traceback(kind, error, at)
    text = capsys.readouterr().err
    assert "OSError: cannot open rtsp://" in text
    return text
