"""SIGTERM ends the daemon in time, and orderly, whatever it is in the middle of."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from tests.replay.recorded import LIMIT_S, video
from tests.system.conftest import free_port, until
from tests.system.ear import Site, broker, camera

STOPS_WITHIN_S = 5.0  # 2 s are promised; test machines are busy
needs_builder = pytest.mark.skipif(
    find_spec("tensorrt_rtx_bindings") is None, reason="needs a TensorRT builder; install edged[tensorrt-rtx]"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


BUILDING = 'engines.tensorrt = "tensorrt-rtx"\nengines.level = 5\n'


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    begun_s = time.monotonic()
    _, said = process.communicate(timeout=LIMIT_S)
    took_s = time.monotonic() - begun_s
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert took_s < STOPS_WITHIN_S, said


def test_while_models_are_loaded(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("STATUS=loading models"))
    end(process)


def test_without_a_broker(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_broker_that_says_nothing(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(site.silent_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_broker_that_cannot_be_reached(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(site.deaf_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_camera_that_is_tried_again_and_again(site: Site) -> None:
    process = site.start(broker(free_port()) + camera(f"rtsp://127.0.0.1:{free_port()}/gone"))
    until(lambda: site.says("barn lost: "))
    end(process)


def test_with_a_camera_that_hangs(site: Site) -> None:
    process = site.start(broker(free_port()) + camera(f"rtsp://127.0.0.1:{site.silent_port()}/mute"))
    until(lambda: site.says("barn connecting"))
    end(process)


@needs_builder
def test_while_an_engine_is_built(site: Site, tmp_path: Path) -> None:
    process = site.start(BUILDING + broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says(" building "))
    end(process)


@needs_builder
def test_in_the_worst_of_states(site: Site) -> None:
    silent = f"rtsp://127.0.0.1:{site.silent_port()}/mute"
    process = site.start(BUILDING + broker(site.silent_port()) + camera(silent))
    until(lambda: site.says("barn connecting; engine"))
    end(process)
