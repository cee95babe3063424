"""3D poses on the CPU backend against the numpy definitions, and in what `edged infer` prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edged.__main__ import main
from edged.config.tables.models import STARTER_LIFT, STARTER_ROOT, ModelsConfig
from edged.config.tree import Config
from edged.errors import ConfigError
from edged.frame import Boxes, CameraIntrinsics, Frame, InferenceParams, InferenceResult, QualityLimits
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cpu.pose3d import RootNet, VolumeNet
from edged.inference.crop import crop_image
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.model_cards import model_cards
from edged.inference.pose3d.lifter import Lifter
from edged.inference.pose3d.projection import (
    VolumeJoints,
    heuristic_depth_mm,
    is_surer_than_box,
    person_crop,
    person_pose3d,
)
from engines.catalogue import HERE, load
from engines.errors import CardError
from engines.prepare import batches
from tests.support.schema import schema_errors
from tests.support.small_nets import written

ROOT = Path(__file__).parents[2]
CARDS = load()
LENS = CameraIntrinsics(fx=800, fy=790, cx=310, cy=250)
BOXES = np.array([(250, 60, 400, 440), (-80, 20, 90, 300), (620, 470, 760, 900)], np.float32)
PICTURE = ROOT / "tools/synth/stills/paddock.webp"  # with people, of whom the starter detector finds some


def photo(width: int = 640, height: int = 480) -> Any:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.blur(noise, (9, 9))


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    for name in ("convnextpose-s", "integral-r152", "rootnet"):
        written(CARDS[name], folder)
    return folder


def session(nets: Path, name: str) -> OrtSession:
    return OrtSession(CARDS[name], nets / f"{name}.onnx")


def lifter(nets: Path, name: str = "convnextpose-s", *, root: bool = True) -> Lifter:
    return Lifter(VolumeNet(session(nets, name)), RootNet(session(nets, "rootnet")) if root else None)


@pytest.mark.parametrize("name", ["convnextpose-s", "integral-r152"])
def test_lifted_person_equals_definition(nets: Path, name: str) -> None:
    image, card = photo(), CARDS[name]
    assert card.lift is not None
    for box, found in zip(BOXES, lifter(nets, name).lift_boxes(image, BOXES, LENS), strict=True):
        crop = person_crop(box, (640, 480), card.input.size_wh, card.lift.padding)
        assert crop is not None
        shown = crop_image(image, crop)[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)  # RGB, 0 to 255
        (volume,) = session(nets, name).run(shown)
        seen = VolumeJoints(crop, soft_argmax(volume, 18)[0], (card.lift.depth, *volume.shape[2:]))
        square = person_crop(box, (640, 480), (256, 256), 1.25)
        assert square is not None
        gamma = 1 + 0.1 / 255 * float(crop_image(image, square).mean())
        expected = person_pose3d(seen, card.lift, LENS, gamma)
        assert expected is not None
        assert found is not None
        np.testing.assert_allclose(found.xyz_mm, expected.xyz_mm, atol=12)  # the crops differ by a grey level
        np.testing.assert_allclose(found.root_mm, expected.root_mm, atol=12)
        assert np.ptp(found.xyz_mm[:, 2]) > 50
        assert (found.depth_source, found.focal_source) == ("rootnet", "given")
        assert found.root_mm[2] / heuristic_depth_mm(crop, LENS) == pytest.approx(gamma, abs=0.1)


class Counting:
    """A session that notes how many people each call had."""

    def __init__(self, inner: OrtSession) -> None:
        self.card, self._inner = inner.card, inner
        self.calls: list[int] = []
        self.close = inner.close

    def run(self, tensor: Any) -> Any:
        self.calls.append(len(tensor))
        return self._inner.run(tensor)


def test_several_people_in_one_call_are_as_one_by_one(nets: Path) -> None:
    volume, root = Counting(session(nets, "convnextpose-s")), Counting(session(nets, "rootnet"))
    several = Lifter(VolumeNet(volume), RootNet(root))
    boxes = np.concatenate([BOXES, BOXES[:1] + 3, np.array([(700, 0, 800, 100)], np.float32), BOXES[:2] + 7])
    together = several.lift_boxes(photo(), boxes, LENS)
    assert volume.calls == root.calls == [4, 2]  # never more volumes than the card allows, and no call for nobody
    for box, found in zip(boxes, together, strict=True):
        (alone,) = several.lift_boxes(photo(), box[None], LENS)
        assert (found is None) == (alone is None)
        if found is not None and alone is not None:
            np.testing.assert_allclose(found.xyz_mm, alone.xyz_mm, atol=0.1)
            np.testing.assert_allclose(found.root_mm, alone.root_mm, atol=0.1)


def test_file_for_one_person_alone_lifts_several(nets: Path, tmp_path: Path) -> None:
    card = CARDS["convnextpose-s"]
    fixed = OrtSession(card, written(card, tmp_path, batch=1))
    one_by_one = Lifter(VolumeNet(fixed), None).lift_boxes(photo(), BOXES, LENS)
    for found, expected in zip(one_by_one, lifter(nets, root=False).lift_boxes(photo(), BOXES, LENS), strict=True):
        assert found is not None
        assert expected is not None
        np.testing.assert_allclose(found.xyz_mm, expected.xyz_mm, atol=0.1)
    assert batches(card, (tmp_path / f"{card.name}.onnx").read_bytes()) == (1,)  # of an engine made of it
    assert batches(card, (nets / f"{card.name}.onnx").read_bytes()) == card.batches


def test_volumes_of_one_call_are_bounded() -> None:
    most = {name: CARDS[name].batches[-1] for name in ("convnextpose-s", "convnextpose-l", "integral-r152", "rootnet")}
    assert most == {"convnextpose-s": 4, "convnextpose-l": 2, "integral-r152": 1, "rootnet": 4}


def test_box_outside_the_image_is_not_lifted(nets: Path) -> None:
    beside = np.array([(700, 0, 800, 100)], np.float32)
    assert lifter(nets).lift_boxes(photo(), beside, LENS) == [None]


@pytest.mark.parametrize("count", [4, 5, 8])
def test_undistortion_equals_opencv(count: int) -> None:
    priors = (-0.21, 0.06, 0.001, -0.002, 0.01, 0.02, -0.01, 0.005)[:count]
    intrinsics = CameraIntrinsics(fx=700, fy=710, cx=330, cy=230, distortion=priors)
    rays = np.array([[-0.4, -0.3, 1], [0, 0, 1], [0.45, 0.31, 1]])
    camera = np.array([[700, 0, 330], [0, 710, 230], [0, 0, 1]], np.float64)
    pixels, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), camera, np.array(priors))
    np.testing.assert_allclose(intrinsics.rays(pixels[:, 0]), rays[:, :2], atol=1e-6)


def infer_frame(backend: CpuBackend, priors: Boxes, *, space: bool) -> InferenceResult:
    frame = Frame(camera="a", seq=0, captured_ns=0, image=photo())
    least = np.full(len(backend.classes), 0.3, np.float32)
    return backend.infer(
        frame,
        InferenceParams(thresholds=least, max_subjects=8, quality_limits=QualityLimits(), lift_3d=space),
        priors,
        detect=False,
    )


def test_only_people_are_lifted_and_only_on_request(nets: Path) -> None:
    detector = OrtSession(CARDS["det-person-horse"], ROOT / "engines/starter/det_person_horse.onnx")
    backend = CpuBackend(detector, {}, lifter(nets, root=False))
    horse, person = backend.classes.index("horse"), backend.classes.index("person")
    priors = Boxes(xyxy=BOXES, score=np.ones(3, np.float32), label=np.array([horse, person, person]))
    assert infer_frame(backend, priors, space=False).poses3d == ()
    first, second, third = infer_frame(backend, priors, space=True).poses3d
    assert first is None
    assert second is not None
    assert third is not None
    assert (second.depth_source, second.focal_source) == ("heuristic", "assumed")


@pytest.mark.parametrize("name", ["rootnet", "rtmpose-t-lsp14"])
def test_model_of_other_task_is_rejected(nets: Path, name: str) -> None:
    class Other:
        card = CARDS[name]

    with pytest.raises(CardError, match=name):
        VolumeNet(Other())  # type: ignore[arg-type]  # it is asked for its card only


def infer(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert main(["infer", "--jsonl", *options, str(PICTURE)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    message = json.loads(line)
    assert schema_errors("cam/a/poses", message) == []
    return [subject for subject in message["subjects"] if subject["class"] == "person"]


@pytest.fixture
def config(nets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A configuration whose models were imported into its store."""
    file = tmp_path / "edged.toml"
    file.write_text(f'[models]\nstore = "{tmp_path / "store"}"\nlift = "convnextpose-s"\nroot = "rootnet"\n')
    for name in ("convnextpose-s", "rootnet"):
        shutil.copy(nets / f"{name}.onnx", tmp_path / "from-the-workstation.onnx")
        assert main(["models", "import", "--config", str(file), name, str(tmp_path / "from-the-workstation.onnx")]) == 0
    capsys.readouterr()
    return file


def test_infer_prints_3d_people_in_millimetres(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = infer(capsys, "--config", str(config))
    assert people
    for person in people:
        pose = person["keypoints_3d"]
        assert (pose["schema"], pose["depth_source"], pose["focal_source"]) == (
            "h36m-18",
            "rootnet",
            "assumed",
        )
        assert len(pose["xyz_mm"]) == 18
        assert pose["xyz_mm"][0] == [0, 0, 0]
    near = infer(capsys, "--config", str(config), "--lens", "750,750,320,180")
    assert near[0]["keypoints_3d"]["focal_source"] == "given"
    halved = near[0]["keypoints_3d"]["root_mm"][2] / people[0]["keypoints_3d"]["root_mm"][2]
    assert halved == pytest.approx(0.5, abs=0.02)


def test_infer_prints_distance_of_people(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", "--config", str(config), str(PICTURE)]) == 0
    assert "keypoints), about" in (out := capsys.readouterr().out)
    assert "m away" in out


@pytest.mark.parametrize("order", [("--lift", str(PICTURE)), (str(PICTURE), "--lift")], ids=["before", "after"])
def test_infer_lifts_with_the_starter_models(order: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", "--jsonl", "--lens", "750,750,320,180", *order]) == 0
    subjects = json.loads(capsys.readouterr().out)["subjects"]
    (pose,) = (subject["keypoints_3d"] for subject in subjects if subject["class"] == "person")
    root = CARDS[STARTER_ROOT].root
    assert root is not None
    assert pose["depth_source"] == ("rootnet" if is_surer_than_box(root) else "heuristic")
    assert pose["schema"] == "h36m-18"
    assert pose["distance_m"] == pytest.approx(np.linalg.norm(pose["root_mm"]) / 1000, abs=0.02)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lift"], "no PATH given"),
        (["--lift", "nosuch.jpg"], "nosuch.jpg"),
        (["--root", "rootnet", str(PICTURE)], "add --lift"),
    ],
)
def test_infer_says_what_is_missing(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", *words]) != 0
    assert said in capsys.readouterr().err


def test_3d_models_are_loaded_for_cameras_that_ask_alone() -> None:
    plain, lifting = ({"a": {"source": "0", "lift": lift}} for lift in (False, True))
    named = {"lift": "convnextpose-s"}
    wanted = [
        Config.model_validate({"cameras": cameras, "models": models}).models_in_use
        for cameras, models in ((plain, {}), (lifting, {}), (plain, named), (lifting, named))
    ]
    pairs = [(models.lift, models.root) for models in wanted]
    assert pairs == [(None, None), (STARTER_LIFT, STARTER_ROOT), (None, None), ("convnextpose-s", None)]
    cards = model_cards(wanted[1])
    assert STARTER_LIFT in cards.starter


@pytest.mark.parametrize(("error", "used"), [("0.19", True), ("0.2", False), (None, True)])
def test_rootnet_measured_to_be_worse_than_the_box_is_not_loaded(error: str | None, used: bool, tmp_path: Path) -> None:
    text = (HERE / "rootnet.toml").read_text().replace('"rootnet"', '"mine"', 1)
    (tmp_path / "mine.toml").write_text(
        text.replace("cells = 64\n", f"cells = 64\nerror = {error}\n" if error else "cells = 64\n")
    )
    cards = model_cards(ModelsConfig(catalogue=tmp_path, lift="convnextpose-s", root="mine"))
    assert (cards.root is not None) == used


def test_infer_without_3d_model_prints_no_3d_pose(capsys: pytest.CaptureFixture[str]) -> None:
    assert [person for person in infer(capsys) if "keypoints_3d" in person] == []


def test_missing_3d_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(f'[models]\nstore = "{tmp_path}"\nlift = "convnextpose-l"\n')
    assert main(["infer", "--config", str(file), str(PICTURE)]) != 0
    assert "convnextpose-l" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"models\.lift"):
        model_cards(ModelsConfig(lift="rootnet"))
