"""The whole daemon on recorded input, with the real models and a real broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

import cv2

from edged.app import started_daemon
from edged.config.tree import Config
from edged.device.doctor import cameras, run_checks
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.mqtt import Listener
from tests.support.recorded import LIMIT_S, Command, edged_process, images, picture, video
from tests.support.waiting import until

STOPS_WITHIN_S = 10.0  # 2 s are promised; test machines are slow and busy, and what hangs here hangs for longer


def settings(broker: EmbeddedBroker, **sources: Path) -> dict[str, Any]:
    state = next(iter(sources.values())).parent / "state"
    return {
        "device": {"id": "box", "state_dir": str(state)},
        "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
        "cameras": {name: {"source": str(path), "realtime": False} for name, path in sources.items()},
    }


def play(settings: dict[str, Any]) -> None:
    """The daemon from start to end, until every source has ended."""
    with started_daemon(Config.model_validate(settings)) as daemon:
        daemon.run(threading.Event())


def last(listener: Listener, topic: str, state: str) -> dict[str, Any]:
    until(lambda: state in listener.states(topic))
    return listener.bodies(topic)[-1]


def test_daemon_publishes_every_promised_message(broker: EmbeddedBroker, listener: Listener, tmp_path: Path) -> None:
    play(settings(broker, barn=video(tmp_path / "clip.mp4", 10)))
    last(listener, "edged/box/status", "stopped")
    poses = listener.bodies("edged/box/cam/barn/poses")
    assert [body["frame"] for body in poses] == sorted(body["frame"] for body in poses)
    assert {"v", "ts", "time_synced", "seq", "camera", "image", "subjects", "source", "position"} <= poses[0].keys()
    assert poses[0]["image"] == {"w": 320, "h": 240}
    assert listener.states("edged/box/status") == ["online", "stopped"]
    assert listener.states("edged/box/cam/barn/status")[-1] == "ended"
    assert listener.bodies("edged/box/info")[0]["cameras"]["barn"]["kind"] == "files"


def test_last_health_accounts_for_every_frame(broker: EmbeddedBroker, listener: Listener, tmp_path: Path) -> None:
    clip, folder = video(tmp_path / "clip.mp4", 10), images(tmp_path / "folder", *[picture()] * 3)
    (folder / "1.png").write_bytes(b"no image")
    play(settings(broker, barn=clip, yard=folder))
    last(listener, "edged/box/status", "stopped")
    cameras = listener.bodies("edged/box/health")[-1]["cameras"]
    books = {name: camera["frames"] for name, camera in cameras.items()}
    nothing = {"dropped": 0, "waiting": 0, "held": 0}
    assert books["barn"] == {"captured": 10, "processed": 10, "failed": 0, **nothing}
    assert books["yard"] == {"captured": 3, "processed": 2, "failed": 1, **nothing}


def test_black_image_is_published_as_dark_without_subjects(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path
) -> None:
    play(settings(broker, barn=images(tmp_path / "night", picture(grey=0))))
    until(lambda: listener.bodies("edged/box/cam/barn/poses"))
    body = listener.bodies("edged/box/cam/barn/poses")[0]
    assert "dark" in body["degraded"]
    assert body["subjects"] == []
    assert body["quality"]["brightness"] == 0


@pytest.fixture
def configuration(broker: EmbeddedBroker, tmp_path: Path) -> Path:
    """A file for `--config`: one camera that plays for ever."""
    path = tmp_path / "edged.toml"
    path.write_text(
        f'[device]\nid = "box"\nstate_dir = "{tmp_path}"\n'
        f'[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\nprotocol = "3.1.1"\n'
        f'[cameras.barn]\nsource = "{video(tmp_path / "clip.mp4")}"\nloop = true\n'
    )
    return path


def test_run_with_a_duration_ends_by_itself_and_not_before_a_file_is_seen(tmp_path: Path) -> None:
    file = images(tmp_path / "folder", picture()) / "0.png"
    short = ("--loop", "--embedded-broker", "--for", 0.01, "--preview", tmp_path / "look")
    done = edged_process("run", "--source", file, *short)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / name).exists() for name in ("look.jpg", "look.mp4"))


def test_sigterm_ends_the_daemon_in_time_with_status_stopped(configuration: Path, listener: Listener) -> None:
    command = [sys.executable, "-m", "edged", "run", "--config", str(configuration), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: listener.bodies("edged/box/cam/barn/poses"))
        process.send_signal(signal.SIGTERM)
        begun_s = time.monotonic()
        _, output = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert time.monotonic() - begun_s < STOPS_WITHIN_S
    assert process.returncode == 0, output
    assert "Traceback" not in output
    last(listener, "edged/box/status", "stopped")


def test_saved_video_has_every_frame(tmp_path: Path) -> None:
    clip, out = video(tmp_path / "clip.mp4", 10), tmp_path / "out.mp4"
    keep = ("--save-video", out, "--preview", tmp_path / "look")
    done = edged_process("run", "--source", clip, "--embedded-broker", *keep)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "look.mp4").stat().st_size > 0
    assert "starter weights are for trials" in done.stderr
    assert f"{out}: 1 s of what it sees; play it\n" in done.stderr
    assert "━" not in done.stderr  # a bar is for terminals
    written = cv2.VideoCapture(str(out))
    frames = 0
    while written.read()[0]:
        frames += 1
    written.release()
    assert frames == 10


def test_infer_prints_one_message_per_frame(edged: Command, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", 5)
    done = edged("infer", "--jsonl", clip, images(tmp_path / "folder", picture()))
    assert (done.returncode, done.stderr) == (0, "")
    bodies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(Path(body["source"]).name, body["position"]) for body in bodies] == [
        *((clip.name, position) for position in range(5)),
        ("0.png", 0),
    ]


def test_infer_fails_for_a_missing_path_and_reads_the_others(edged: Command, tmp_path: Path) -> None:
    done = edged("infer", "--jsonl", tmp_path / "gone.mp4", images(tmp_path / "folder", picture()))
    assert done.returncode == 1
    assert "gone.mp4" in done.stderr
    assert len(done.stdout.splitlines()) == 1


WRONG = {
    "detector": (["--detector", "nosuch"], "models.detector = 'nosuch': no such card"),
    "pose": (["--pose", "horse=det-person-horse"], "models.pose.horse = 'det-person-horse': a detect model"),
    "class": (["--classes", "person,unicorn"], "--classes unicorn"),
    "threshold": (["--threshold", "7"], "--threshold 7: want a score from 0 to 1"),
    "config": (["--config", "nosuch.toml"], "nosuch.toml"),
}


@pytest.mark.parametrize(("arguments", "output"), WRONG.values(), ids=WRONG)
def test_invalid_option_of_infer_exits_2_and_is_named(
    edged: Command, tmp_path: Path, arguments: list[str], output: str
) -> None:
    done = edged("infer", images(tmp_path / "folder", picture()), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert output in done.stderr


def test_invalid_configuration_exits_2_with_file_and_line(edged: Command, tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text('[cameras.barn]\nsource = "clip.mp4"\nfps = -1\n')
    done = edged("run", "--config", path)
    assert done.returncode == 2
    assert f"{path}:3 cameras.barn.fps" in done.stderr


@pytest.mark.parametrize("duration", ["0", "-1", "nan", "inf", "soon"])
def test_invalid_duration_exits_2(edged: Command, tmp_path: Path, duration: str) -> None:
    done = edged("run", "--source", tmp_path, f"--for={duration}")
    assert done.returncode == 2
    assert "argument --for" in done.stderr


def test_run_without_cameras_exits_2_with_the_remedy(edged: Command, tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text("version = 1\n")
    done = edged("run", "--config", path)
    assert done.returncode == 2
    assert "--source" in done.stderr


def test_snapshot_writes_the_picture(edged: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = edged("snapshot", "--source", images(tmp_path / "folder", picture()), "--out", out)
    assert done.returncode == 0, done.stderr
    written = cv2.imread(str(out))
    assert written is not None
    assert written.shape == (240, 320, 3)
    assert "folder/0.png; `edged infer " in done.stdout  # a folder has more


def test_doctor_compares_the_regions_with_the_image(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(f'[cameras.a]\nsource = "{video(tmp_path / "clip.mp4")}"\nroi = [0, 0, 640, 240]\n')
    (_, finding) = run_checks(file, [cameras])
    assert (finding.ok, finding.message.splitlines()[1].split(";")[0]) == (
        False,
        "roi must lie inside the upright image of 320 x 240 px",
    )


def test_doctor_prints_json(edged: Command, configuration: Path) -> None:
    done = edged("doctor", "--config", configuration, "--json")
    checks = json.loads(done.stdout)
    assert {"configuration", "cameras"} & {check["check"].split(" ")[0] for check in checks}
    assert done.returncode == int(any(check["ok"] is False for check in checks)), done.stderr
