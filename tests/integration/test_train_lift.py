"""Training of the models of people in space: what they are taught, and what is exported."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")
pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from torch.nn import functional  # noqa: E402

from edged.inference.crop import Crop  # noqa: E402
from engines.card.schema import SCHEMAS  # noqa: E402
from tools.nets.space import DEPTH, JOINTS, NAMES, Seen  # noqa: E402
from tools.nets.starter import pose_net  # noqa: E402
from tools.nets.weights import load_weights  # noqa: E402
from tools.synth import portraits  # noqa: E402
from tools.train.crops import LABELLED, UNKNOWN  # noqa: E402
from tools.train.lift import FILES, POSE, export, started  # noqa: E402
from tools.train.people import Person, cut, flat_joints, mirrored, windowed  # noqa: E402
from tools.train.space import DEEP, FLAT, Truth, bins, loss, means  # noqa: E402
from tools.train.validate_lift import measure  # noqa: E402


def seen(joints: Any, gamma: float = 1.0) -> Seen:
    """Outputs that are sure of these joints (1, 18, 4)."""
    at = bins(joints).round().long()
    x, y, z = (functional.one_hot(at[..., axis], 32) * 30.0 for axis in range(3))
    return Seen((x, y, z), (x[:, 0, None, :] + y[:, 0, :, None])[:, None], torch.tensor([[gamma]]))


def joints_at(z: float, state: int) -> Any:
    one = torch.zeros(1, JOINTS, 4)
    one[..., 0], one[..., 1], one[..., 2], one[..., 3] = 24.0, 40.0, z, state
    return one


def test_depth_is_taught_only_where_it_is_known() -> None:
    near, wrong = seen(joints_at(0.0, DEEP)), seen(joints_at(500.0, DEEP))
    deep, flat = (Truth(joints_at(0.0, state), torch.tensor([1.0])) for state in (DEEP, FLAT))
    assert float(loss(wrong, deep)) > float(loss(near, deep)) + 5
    assert float(loss(wrong, flat)) == pytest.approx(float(loss(near, flat)))


def test_unknown_joints_and_distances_are_not_taught() -> None:
    nothing = Truth(joints_at(0.0, 0), torch.tensor([0.0]))
    assert float(loss(seen(joints_at(500.0, DEEP), gamma=3.0), nothing)) == 0
    known = Truth(joints_at(0.0, 0), torch.tensor([1.5]))
    assert float(loss(seen(joints_at(500.0, DEEP), gamma=3.0), known)) == pytest.approx(6.0)  # twice as far


def test_mean_of_a_distribution_is_in_bins() -> None:
    assert means(torch.tensor([0.0, 0.5, 0.0, 0.5])).item() == 2.0


def test_joints_of_photographs_are_those_that_both_data_sets_define() -> None:
    names = SCHEMAS["coco-17"].keypoints
    points = np.array([(k, 10 * k, LABELLED) for k in range(17)], np.float32)
    points[names.index("right_shoulder"), 2] = UNKNOWN
    joints = dict(zip(NAMES, flat_joints(points), strict=True))
    left, right = (points[names.index(f"{side}_hip"), 0] for side in ("left", "right"))
    assert joints["pelvis"].tolist() == [(left + right) / 2, 5 * (left + right), 0, FLAT]
    assert joints["left_wrist"][0] == names.index("left_wrist")
    assert {name for name, joint in joints.items() if joint[3] == 0} == {
        *("torso", "neck", "nose", "head_top", "thorax", "right_shoulder")
    }


def person() -> Person:
    joints = np.zeros((JOINTS, 4), np.float32)
    joints[:, :2], joints[:, 3] = (100, 60), DEEP
    joints[NAMES.index("left_wrist"), :3] = (130, 40, 250)
    return Person(np.full((200, 200, 3), 9, np.uint8), np.array([60.0, 20, 140, 180]), joints, 4.0)


def test_window_is_cut_as_the_daemon_cuts_it() -> None:
    one = person()
    _, joints, gamma = windowed(one, 64)
    crop = Crop.around(one.xyxy, (64, 64), 1.25)
    np.testing.assert_allclose(crop.to_image(joints[:, :2]), one.joints[:, :2], atol=1e-3)
    assert gamma == pytest.approx(4.0 * crop.width / 2000)  # depth over RootNet's k


def test_mirror_image_exchanges_left_and_right_and_keeps_depths() -> None:
    window, joints, _ = windowed(person(), 64)
    _, turned = mirrored(window, joints)
    was, now = joints[NAMES.index("left_wrist")], turned[NAMES.index("right_wrist")]
    assert now.tolist() == pytest.approx([64 - was[0], was[1], 250, DEEP])


def test_cut_person_has_the_box_of_what_is_left() -> None:
    for seed in range(8):
        one = cut(person(), np.random.default_rng(seed))
        shown = np.argwhere(one.image.any(axis=2))
        (top, left), (bottom, right) = shown.min(axis=0), shown.max(axis=0) + 1
        low, high = person().xyxy[:2].clip((left, top)), person().xyxy[2:].clip(max=(right, bottom))
        np.testing.assert_allclose(one.xyxy, [*low, *high], atol=1)
        assert (one.xyxy[2:] - one.xyxy[:2]).min() >= 0.4 * 80


def test_both_models_start_from_the_pose_model_and_take_several_people(tmp_path: Path) -> None:
    net = started(POSE)
    export(net.eval(), tmp_path)
    image = np.random.default_rng(0).uniform(0, 255, (2, 3, 256, 256)).astype(np.float32)
    both = {
        task: onnxruntime.InferenceSession(tmp_path / f"{FILES[task]}.onnx", providers=["CPUExecutionProvider"]).run(
            None, {"image": image}
        )
        for task in FILES
    }
    white = (torch.from_numpy(image) / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    with torch.no_grad():
        outputs = net(white)
    shares = torch.from_numpy(both["lift"][0]).view(2, JOINTS, -1).softmax(-1).view(2, JOINTS, DEPTH, 32, 32)
    for found, activations in zip(
        (shares.sum((2, 3)), shares.sum((2, 4)), shares.sum((3, 4))), outputs.axes, strict=True
    ):
        np.testing.assert_allclose(found, activations.softmax(-1), atol=5e-3)
    assert both["lift"][0].shape == (2, JOINTS * DEPTH, 32, 32)
    np.testing.assert_allclose(both["root"][1], outputs.gamma, atol=5e-3)
    assert both["root"][0].shape == (2, 2)
    assert sum((tmp_path / f"{file}.onnx").stat().st_size for file in FILES.values()) < 20e6


class OnePortrait:
    """A person 4 m away, of whom every joint is known; half of a metre lies between the nearest and the farthest."""

    rng = np.random.default_rng(4)
    joints_mm = np.column_stack(
        [rng.uniform(-400, 400, JOINTS), rng.uniform(-400, 400, JOINTS), rng.uniform(3800, 4300, JOINTS)]
    )[None]
    lens = np.array([[300.0, 300, 144, 144]])
    xyxy = np.array([[100.0, 90, 190, 200]])

    def __len__(self) -> int:
        return 1

    def image(self, i: int) -> Any:
        return np.zeros((288, 288, 4), np.uint8)


class Sure:
    """Models that know the portrait; the root is `farther` than it is."""

    def __init__(self, farther: float) -> None:
        mm, lens = OnePortrait.joints_mm[0], OnePortrait.lens[0]
        joints = np.column_stack([mm[:, :2] / mm[:, 2:] * lens[:2] + lens[2:], mm[:, 2] - mm[0, 2], np.full(JOINTS, 2)])
        one = Person(np.zeros((288, 288, 3), np.uint8), OnePortrait.xyxy[0], joints, mm[0, 2] / lens[0])
        _, self._joints, gamma = windowed(one, 256)
        self._gamma = gamma * farther

    def joints(self, window: Any) -> Any:
        return self._joints[:, :3].astype(np.float32)

    def gamma(self, window: Any) -> float:
        return self._gamma


def test_net_places_limbs_as_the_pose_model_that_it_starts_from() -> None:
    net, pose, drawn = started(POSE).eval(), pose_net(17, (192, 256)), portraits.portrait(3, 0)
    load_weights(pose, POSE)
    one = Person(
        portraits.over(drawn.image, np.full((288, 288, 3), 116, np.uint8)),
        drawn.xyxy.astype(float),
        np.zeros((18, 4), np.float32),
        0.0,
    )
    image = torch.from_numpy(windowed(one, 256)[0].astype(np.float32) / 57 - 2).permute(2, 0, 1)[None].flip(1)
    with torch.no_grad():
        axes, theirs = net(image).axes, pose.eval()(image[..., 32:224])  # its window is the middle of this one
    for ours, known, middle in zip(axes, theirs, (32.0, 0.0), strict=False):
        for name in ("left_shoulder", "right_knee"):
            at = known[0, SCHEMAS["coco-17"].keypoints.index(name)].argmax() / 2 + middle
            assert abs(ours[0, NAMES.index(name)].argmax() * 8 - at) <= 16


def test_validation_of_sure_models_finds_no_error_but_that_of_the_distance() -> None:
    nobody: Any = SimpleNamespace(rows=[{}], image=lambda row: np.zeros((300, 400, 3), np.uint8))
    portraits: Any = OnePortrait()
    sure: Any = Sure(farther=1.2)
    errors = measure(sure, portraits, nobody)
    assert errors["depth_error"] == pytest.approx(0.2)
    assert max(errors[name] for name in ("mpjpe_mm", "pa_mpjpe_mm", "pa_mpjpe_rigid_mm")) < 0.1
