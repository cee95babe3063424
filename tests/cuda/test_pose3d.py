"""3D poses on the emulated GPU against the numpy definitions, from the frame to the joints."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edged.errors import ModelFault
from edged.frame import U8, Boxes, CameraIntrinsics, Frame, InferenceParams, Pose3d, QualityLimits
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.crop import crop_image
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.decode.detectors import NON_FINITE
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.projection import VolumeJoints, person_crop, person_pose3d
from engines.catalogue import load
from engines.prepare import prepare
from tests.cuda.emulated import IMAGE, Emulated
from tests.cuda.stand_in import StandIn
from tests.cuda.starter_models import DETECTOR, POSES, STARTER
from tests.support.raising import raises_code
from tests.support.small_nets import written

CARDS = load()
LIFT, ROOT = CARDS["convnextpose-s"], CARDS["rootnet"]
LENS = CameraIntrinsics(fx=800, fy=790, cx=310, cy=170)
BOXES = np.array(
    [(250, 60, 400, 340), (-80, 20, 90, 300), (700, 0, 800, 100), (20, 30, 200, 200), (400, 90, 520, 300)], np.float32
)
LABELS = np.array([0, 0, 0, 1, 0])  # the fourth is a horse


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    written(LIFT, folder)
    written(ROOT, folder)
    return folder


def photo() -> U8:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    return np.asarray(cv2.blur(noise, (9, 9)), np.uint8)


def lifted(nets: Path, *, rooted: bool, poison: float | None = None) -> tuple[Pose3d | None, ...]:
    gpu = Gpu()

    def engine(name: str, file: Path) -> StandIn:
        card, sizes = CARDS[name], CARDS[name].batches
        batch = 1 if len(sizes) == 1 else (sizes[0], sizes[-2], sizes[-1])
        return StandIn(gpu, card, prepare(card, file.read_bytes(), batch=batch, precision="fp32", io="fp32"), sizes)

    people = engine(POSES["person"][0], STARTER / POSES["person"][1])
    deep = engine(LIFT.name, nets / f"{LIFT.name}.onnx")
    far = engine(ROOT.name, nets / f"{ROOT.name}.onnx") if rooted else None
    (far or deep).poison = poison
    backend = CudaBackend(gpu, engine(DETECTOR[0], STARTER / DETECTOR[1]), {"person": people}, IMAGE, lift=(deep, far))
    params = InferenceParams(
        thresholds=np.ones(2, np.float32),
        max_subjects=16,
        quality_limits=QualityLimits(),
        lift_3d=True,
        intrinsics=LENS,
    )
    priors = Boxes(xyxy=BOXES, score=np.ones(len(BOXES), np.float32), label=LABELS)
    frame = Frame(camera="a", seq=0, captured_ns=0, image=photo())
    with closing(backend):
        result = backend.infer(frame, params, priors, detect=False)
        again = backend.infer(frame, params, priors, detect=False)
    shown = int((LABELS == 0).sum()) - 1  # one of them beside the frame
    assert deep.ran == [next(size for size in deep.batches if size >= shown)] * 2  # all of them in one call
    for first, second in zip(result.poses3d, again.poses3d, strict=True):
        if first is not None:
            assert second is not None
            assert first.xyz_mm.tolist() == second.xyz_mm.tolist()
    return result.poses3d


def defined(nets: Path, box: Any, *, rooted: bool) -> Pose3d | None:
    """The expected pose: crop, model, soft-argmax and projection by their definitions."""

    def fed(card: Any) -> tuple[Any, Any]:
        crop = person_crop(box, (640, 360), card.input.size_wh, card.padding)
        assert crop is not None
        pixels = crop_image(photo(), crop)
        pixels = pixels[..., ::-1] if card.input.colour == "rgb" else pixels
        mean, std = np.array(card.input.mean, np.float32), np.array(card.input.std, np.float32)
        return crop, ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)[None]

    crop, tensor = fed(LIFT)
    (volume,) = OrtSession(LIFT, nets / f"{LIFT.name}.onnx").run(tensor)
    assert LIFT.lift is not None
    seen = VolumeJoints(crop, soft_argmax(volume, 18)[0], (LIFT.lift.depth, *volume.shape[2:]))
    gamma = None
    if rooted:
        _, gammas = OrtSession(ROOT, nets / f"{ROOT.name}.onnx").run(fed(ROOT)[1])
        gamma = float(gammas[0, 0])
    return person_pose3d(seen, LIFT.lift, LENS, gamma)


@pytest.mark.parametrize("rooted", [False, True], ids=["by size", "by RootNet"])
def test_lifted_people_equal_definition(emulated: Emulated, nets: Path, rooted: bool) -> None:
    left = emulated("alive")
    found = lifted(nets, rooted=rooted)
    assert [pose is None for pose in found] == [False, False, True, True, False]
    for box, pose in zip(BOXES, found, strict=True):
        if pose is not None:
            expected = defined(nets, box, rooted=rooted)
            assert expected is not None
            np.testing.assert_allclose(pose.xyz_mm, expected.xyz_mm, atol=1)
            np.testing.assert_allclose(pose.root_mm, expected.root_mm, rtol=1e-3)
            assert (pose.depth_source, pose.focal_source, pose.schema) == (
                expected.depth_source,
                expected.focal_source,
                expected.schema,
            )
    assert emulated("alive") == left


@pytest.mark.parametrize("rooted", [False, True], ids=["volume", "RootNet"])
def test_output_that_no_sound_model_gives_fails_the_frame(emulated: Emulated, nets: Path, rooted: bool) -> None:
    with raises_code(ModelFault, NON_FINITE):
        lifted(nets, rooted=rooted, poison=65504)
