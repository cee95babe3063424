"""The benchmark's peers on the CPU get the same frames as our pipeline, and their files are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from tests.support.shared_data import SHARED
from tools.bench import configurations, contenders
from tools.bench.contenders import EdgedPipeline, Rtmlib, cpu_pipeline, keypoint_distances_px, model_path
from tools.bench.frames import BenchFrame
from tools.bench.unavailable import Unavailable
from tools.cuda.parts import clip

RTMDET = SHARED / "models/upstream/rtmdet_nano.onnx"


@pytest.fixture(scope="module")
def shown() -> BenchFrame:
    """One person beside a horse."""
    image = clip(6)[5]
    return BenchFrame(bgr=image, rgb=np.ascontiguousarray(image[..., ::-1]), scene="stall")


def ours(detector: str, file: Path) -> EdgedPipeline:
    pose = OrtSession(load()[contenders.POSE], model_path(contenders.POSE), threads=1)
    return cpu_pipeline(OrtSession(load()[detector], file, threads=1), pose)


def test_rtmlib_on_the_device_it_is_given_sees_the_same(shown: BenchFrame) -> None:
    pytest.importorskip("rtmlib")
    if not RTMDET.exists():
        pytest.skip(f"{RTMDET} is not there")
    theirs = Rtmlib(RTMDET, "cpu")
    theirs.set_max_people(1)
    assert theirs(shown) == 1
    apart = keypoint_distances_px(ours(contenders.DETECTOR, RTMDET), theirs, shown)
    assert apart.shape == (17,)
    assert apart.max() < 0.5


def test_pytorch_on_the_device_it_is_given_sees_the_same(shown: BenchFrame) -> None:
    pytest.importorskip("torch")
    theirs = configurations.torch_pipeline("cpu")
    mine = ours(configurations.DETECTOR, model_path(configurations.DETECTOR))
    boxes = mine.boxes(shown)
    assert len(boxes) == 1
    np.testing.assert_allclose(theirs.boxes(shown), boxes, atol=0.5)
    np.testing.assert_allclose(theirs.keypoints(shown, boxes), mine.keypoints(shown, boxes), atol=0.5)


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("peer", ["rtmlib", "torch"])
def test_peer_without_cuda_is_not_measured_on_the_cpu(peer: str) -> None:
    pytest.importorskip(peer)
    if not RTMDET.exists():
        pytest.skip(f"{RTMDET} is not there")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there may be CUDA here")
    with pytest.raises(Unavailable, match="no CUDA here"):
        _ = Rtmlib(RTMDET, "cuda") if peer == "rtmlib" else configurations.torch_pipeline("cuda")
