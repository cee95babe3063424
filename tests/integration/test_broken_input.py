"""Broken and odd input through the real pipeline: named, counted, never a crash or a hang."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.app import started_daemon
from edged.config.tree import Config
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.recorded import Command, images, picture, video

NOISE = np.random.default_rng(0).bytes(4000)


def cut(whole: Path, part: float) -> Path:
    path = whole.with_name("cut.mp4")
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    return path


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.9, 0.99])
def test_truncated_video_is_named(edged: Command, tmp_path: Path, part: float) -> None:
    done = edged("infer", "--jsonl", cut(video(tmp_path / "whole.mp4"), part))
    assert done.returncode == 1
    assert "cut.mp4" in done.stderr


@pytest.mark.parametrize("name", ["text.mp4", "noise.mp4", "noise.jpg", "noise.png", "noise.avi"])
def test_file_of_another_kind_than_its_suffix_is_named(edged: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no video\n" * 99 if name.startswith("text") else NOISE)
    done = edged("infer", "--jsonl", tmp_path / name)
    assert (done.returncode, done.stdout) == (1, "")
    assert name in done.stderr


def test_image_of_one_pixel_fails(edged: Command, tmp_path: Path) -> None:
    done = edged("infer", "--jsonl", images(tmp_path / "one", picture()[:1, :1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "0.png: 1x1 px" in done.stderr


ODD = {
    "grey": picture()[..., 0],
    "16 bit": picture().astype(np.uint16) * 257,
    "alpha": np.dstack([picture(), picture()[..., 0]]),
    "5K": cv2.resize(picture(), (5120, 2880), interpolation=cv2.INTER_NEAREST),
    "narrow": picture()[:, :16],
}


@pytest.mark.parametrize("image", ODD.values(), ids=ODD)
def test_image_of_odd_size_is_processed_in_its_own_size(
    edged: Command, tmp_path: Path, image: NDArray[np.uint8]
) -> None:
    done = edged("infer", "--jsonl", images(tmp_path / "odd", image))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["image"] == {"w": image.shape[1], "h": image.shape[0]}


def test_bad_image_in_a_folder_fails_only_itself(edged: Command, tmp_path: Path) -> None:
    folder = images(tmp_path / "mixed", *[picture()] * 3)
    (folder / "1.png").write_bytes(NOISE)
    done = edged("infer", "--jsonl", folder)
    assert [Path(json.loads(line)["source"]).name for line in done.stdout.splitlines()] == ["0.png", "2.png"]
    assert done.returncode == 1
    assert done.stderr.count("1.png") == 1


@pytest.fixture
def broken_model(edged: Command, tmp_path: Path) -> dict[str, object]:
    """Configuration of models whose detector gives NaN, whatever it sees."""
    onnx = pytest.importorskip("onnx", reason="makes the broken model; install edged[dev]")
    package = Path(__file__).parents[2] / "engines"
    model = onnx.load(str(package / "starter" / "det_person_horse.onnx"))
    for weights in model.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT:
            nothing = np.full(tuple(weights.dims), np.nan, np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(nothing, weights.name))
    onnx.save(model, str(tmp_path / "broken.onnx"))
    cards = tmp_path / "cards"
    cards.mkdir()
    card = (package / "catalogue" / "det-person-horse.toml").read_text()
    begin, end = card.index("[source]"), card.index("[input]")
    text = card[:begin] + '[source]\nexport = "made by hand"\n\n' + card[end:]
    (cards / "broken.toml").write_text(text.replace('"det-person-horse"', '"broken"', 1))
    chosen = ("--catalogue", cards, "--store", tmp_path / "store")
    done = edged("models", "import", *chosen, "broken", tmp_path / "broken.onnx")
    assert done.returncode == 0, done.stderr
    return {"detector": "broken", "catalogue": cards, "store": tmp_path / "store"}


def test_nan_from_a_model_fails_only_its_frames(
    tmp_path: Path, broken_model: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")
    source = {"source": str(video(tmp_path / "clip.mp4", 5)), "realtime": False}
    with EmbeddedBroker() as broker:
        settings = Config.model_validate(
            {
                "device": {"state_dir": str(tmp_path)},
                "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
                "models": broken_model,
                "cameras": {"barn": source},
            }
        )
        with started_daemon(settings) as daemon:
            daemon.run(threading.Event())
            view = daemon.cameras()["barn"]
    assert (view.counts.captured, view.counts.failed, view.counts.processed) == (5, 5, 0)
    assert len([line for line in caplog.messages if "NaN" in line]) == 1


def test_unreadable_recording_ends_the_run_with_1(edged: Command, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    done = edged("run", "--source", tmp_path / "text.mp4", "--embedded-broker", "--save-video", tmp_path / "out.mp4")
    assert done.returncode == 1
    assert done.stderr.count("text.mp4: truncated, or neither a video nor an image") == 1
    assert not (tmp_path / "out.mp4").exists()
