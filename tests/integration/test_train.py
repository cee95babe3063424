"""Training data is placed as labelled, the losses teach what is known, and training starts from the bundled weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")

from torch import Tensor, nn  # noqa: E402

from engines.card.schema import SCHEMAS  # noqa: E402
from tools.export import to_onnx  # noqa: E402
from tools.export.half import store_half  # noqa: E402
from tools.nets.cspnext import Conv  # noqa: E402
from tools.nets.starter import RIVAL_MARGIN, Detector, OfCard, Probability, pose_net  # noqa: E402
from tools.nets.weights import load_weights, measure_norms, mix_weights  # noqa: E402
from tools.train import pictures  # noqa: E402
from tools.train.__main__ import parsed  # noqa: E402
from tools.train.calibrate import Peaks, fit, reliability  # noqa: E402
from tools.train.crops import ABSENT, LABELLED, UNKNOWN, Crops, Subject, flipped  # noqa: E402
from tools.train.detector import Truth, loss, priors  # noqa: E402
from tools.train.false_boxes import FalseBoxes  # noqa: E402
from tools.train.photographs import Photographs  # noqa: E402
from tools.train.pictures import HORSE, KINDS, PERSON, SIZE_WH, Mix, Picture, boxes_of, placed  # noqa: E402
from tools.train.pose import loss as pose_loss  # noqa: E402
from tools.train.schedule import Training, rate_factor  # noqa: E402
from tools.train.speed import speed_up  # noqa: E402

STARTER = Path(__file__).parents[2] / "engines/starter"
DETECTOR, POSE = STARTER / "det_person_horse.onnx", STARTER / "rtmpose_lsp_t.onnx"
BOX = (40.0, 40.0, 160.0, 200.0)


def run_file(path: Path, image: np.ndarray) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": image})


def test_training_starts_from_the_bundled_detector() -> None:
    net = Detector(len(KINDS))
    load_weights(net, DETECTOR)
    image = np.random.default_rng(1).normal(0, 1, (1, 3, *SIZE_WH[::-1])).astype(np.float32)
    with torch.no_grad():
        taken = OfCard(net.eval())(torch.from_numpy(image))
    for ours, theirs in zip(taken, run_file(DETECTOR, image), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_training_starts_from_a_bundled_pose_net() -> None:
    net = pose_net(14, (192, 256))
    load_weights(net, POSE)
    image = np.random.default_rng(1).normal(0, 1, (1, 3, 256, 192)).astype(np.float32)
    with torch.no_grad():
        taken = net.eval()(torch.from_numpy(image))
    for ours, theirs in zip(taken, run_file(POSE, image), strict=True):
        assert (ours.numpy().argmax(-1) == theirs.argmax(-1)).mean() > 0.99


def test_export_of_another_net_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"rtmpose_lsp_t\.onnx.*do not fit Detector"):
        load_weights(Detector(), POSE)


def outputs(score_at: dict[int, float]) -> tuple[Any, ...]:
    """Maps that find BOX exactly in every cell, with a logit of -4 for each kind, or that of `score_at`."""
    cells = priors()
    sides = torch.cat([cells[:, :2] - torch.tensor(BOX[:2]), torch.tensor(BOX[2:]) - cells[:, :2]], 1)
    logits = torch.full((len(cells), len(KINDS)), -4.0)
    for kind, value in score_at.items():
        logits[:, kind] = value
    shapes = [(SIZE_WH[1] // stride, SIZE_WH[0] // stride) for stride in (8, 16, 32)]
    ends = np.cumsum([0] + [height * width for height, width in shapes])
    maps = [
        [rows[a:b].T.reshape(1, -1, *shape) for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]
        for rows in (logits, sides)
    ]
    return (*maps[0], *maps[1])


def truth(label: int, *, complete: tuple[bool, bool], ignored: bool = False) -> Truth:
    boxes = torch.tensor([[BOX, (0.0, 0.0, *SIZE_WH) if ignored else (0.0, 0.0, 0.0, 0.0)]])
    return Truth(boxes, torch.tensor([[label, 0]]), torch.tensor([[True, False]]), torch.tensor([complete]).float())


def test_background_is_taught_only_where_all_subjects_are_labelled() -> None:
    everywhere = outputs({PERSON: 2.0})  # persons in every cell
    known, unknown = (float(loss(everywhere, truth(HORSE, complete=(c, True)), priors())) for c in (True, False))
    assert known > 5 * unknown


def test_background_is_not_taught_in_ignored_regions() -> None:
    everywhere = outputs({PERSON: 2.0})
    known, ignored = (
        float(loss(everywhere, truth(HORSE, complete=(True, True), ignored=one), priors())) for one in (False, True)
    )
    assert known > 5 * ignored


def test_another_animal_is_no_horse() -> None:
    cow = KINDS.index("cow")
    right, wrong = (
        float(loss(outputs({kind: 2.0}), truth(cow, complete=(False, False)), priors())) for kind in (cow, HORSE)
    )
    assert wrong > right


def test_picture_is_placed_as_the_daemon_does_or_cropped() -> None:
    picture = Picture(np.zeros((360, 640, 3), np.uint8), boxes_of([(320, 90, 640, 360)]), np.array([HORSE]))
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(placed(picture, SIZE_WH, 1.0, rng).boxes, [[208, 58.5, 416, 234]])
    cropped = [placed(picture, SIZE_WH, 2.0, rng) for _ in range(40)]
    assert any(len(one.ignored) and not len(one.boxes) for one in cropped)  # little of it is left: not taught
    assert all((one.boxes >= 0).all() and (one.boxes <= SIZE_WH * 2).all() for one in cropped)


class OnePicture:
    def draw(self, rng: np.random.Generator) -> Picture:
        return Picture(np.full((256, 416, 3), 128, np.uint8), boxes_of([(40, 40, 360, 220)]), np.array([HORSE]))


def test_mosaic_has_the_boxes_of_its_four_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOSAIC_SHARE", 1.0)
    drawn = [Mix([OnePicture()], [1.0]).draw(np.random.default_rng(seed)) for seed in range(30)]
    assert {len(one.boxes) + len(one.ignored) for one in drawn} & {3, 4}
    assert all(one.image.shape == (*SIZE_WH[::-1], 3) for one in drawn)


def test_most_pictures_of_the_last_slice_are_placed_as_the_daemon_does() -> None:
    def as_they_are(*, plain: bool) -> int:
        mix = Mix([OnePicture()], [1.0], plain=plain)
        drawn = [mix.draw(np.random.default_rng(seed)).boxes for seed in range(60)]
        return sum(len(boxes) == 1 and bool(np.isclose(np.ptp(boxes[0, 0::2]), 320)) for boxes in drawn)

    assert as_they_are(plain=True) > 25 > as_they_are(plain=False)


def test_some_degraded_pictures_have_an_infrared_spot() -> None:
    image = np.full((240, 400, 3), (60, 120, 180), np.uint8)
    worn = [pictures.degraded(image, np.random.default_rng(seed)).astype(float) for seed in range(60)]
    lit = [one for one in worn if np.ptp(one.mean(axis=(0, 1))) < 3]
    assert 4 < len(lit) < 30


class OneSubject:
    """A person whose left wrist is the only keypoint in the image, at its middle."""

    def draw(self, rng: np.random.Generator) -> Subject:
        points = np.zeros((17, 3), np.float32)
        points[:] = (5000, 5000, LABELLED)
        points[SCHEMAS["coco-17"].keypoints.index("left_wrist")] = (100, 100, LABELLED)
        points[0, 2] = UNKNOWN
        return Subject(np.zeros((200, 200, 3), np.uint8), (100, 100), (75, 100), points)


def test_crop_names_sides_right_and_what_is_outside_absent() -> None:
    crops, names = Crops([OneSubject()], [1.0], "coco-17", (192, 256), 0.0), SCHEMAS["coco-17"].keypoints
    drawn = [crops.draw(np.random.default_rng(seed))[1] for seed in range(20)]
    seen = {names[int(k)] for points in drawn for k in np.flatnonzero(points[:, 2] == LABELLED)}
    assert seen == {"left_wrist", "right_wrist"}
    assert all((points[:, 2] == ABSENT).sum() == 15 and points[0, 2] == UNKNOWN for points in drawn)
    assert flipped("coco-17")[names.index("left_wrist")] == names.index("right_wrist")


def test_absent_keypoint_is_taught_a_flat_distribution() -> None:
    flat, peaked = torch.zeros(1, 1, 384), torch.zeros(1, 1, 384)
    peaked[..., 100] = 3.0
    y = torch.zeros(1, 1, 512)
    absent, unknown = (torch.tensor([[[50.0, 0, state]]]) for state in (ABSENT, UNKNOWN))
    assert float(pose_loss((peaked, y), absent, (192, 256))) > float(pose_loss((flat, y), absent, (192, 256)))
    assert float(pose_loss((peaked, y), unknown, (192, 256))) == 0


def test_false_boxes_are_clear_of_subjects_and_of_unclear_regions() -> None:
    row = {"boxes": [["person", 0, 0, 100, 200], ["dog", 200, 0, 300, 100]], "ignore": [[300, 200, 400, 300]]}
    boxes = [[10, 10, 90, 190], [200, 0, 300, 100], [310, 210, 390, 290], [150, 120, 290, 290], [120, 120, 130, 290]]
    people = FalseBoxes(Photographs(Path("none"), []), ("person",), 17, DETECTOR)
    clear = people._clear(np.array(boxes, np.float32), row)
    assert clear.tolist() == [False, True, False, True, False]  # the last is too narrow
    animals = FalseBoxes(Photographs(Path("none"), []), ("horse", "dog"), 17, DETECTOR)
    assert animals._clear(np.array(boxes, np.float32), row).tolist() == [True, False, False, True, False]


def test_weights_in_half_precision_are_half_the_file_and_the_same_model(tmp_path: Path) -> None:
    net, file = pose_net(17, (192, 256)), tmp_path / "net.onnx"
    image = np.random.default_rng(1).normal(0, 1, (1, 3, 256, 192)).astype(np.float32)
    to_onnx(net, image.shape, ("simcc_x", "simcc_y"), file)
    whole, size = run_file(file, image), file.stat().st_size
    store_half(file)
    assert file.stat().st_size < 0.55 * size
    for before, after in zip(whole, run_file(file, image), strict=True):
        np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())
    again = pose_net(17, (192, 256))
    load_weights(again, file)
    with torch.no_grad():
        np.testing.assert_allclose(again.eval()(torch.from_numpy(image))[0], run_file(file, image)[0], atol=1e-3)


def test_probability_is_highest_where_most_is_near() -> None:
    activations = torch.zeros(1, 2, 384)
    activations[:, 0, 300] = 1.0  # one place
    activations[:, 1, 300], activations[:, 1, 90:110] = 1.0, 0.9  # a narrow peak, and a broad one
    scores = Probability(384, 4.0, 2.0)(activations)
    assert scores.argmax(-1)[0, 0] == 300
    assert 95 <= scores.argmax(-1)[0, 1] <= 104
    assert ((scores >= 0) & (scores < 1)).all()


def test_calibration_gives_the_share_of_hits() -> None:
    rng = np.random.default_rng(3)
    peak = rng.uniform(-6, 0, 20000)
    found = Peaks(peak, rng.uniform(size=20000) < 1 / (1 + np.exp(-(1.5 * peak + 4))))
    slope, offset = fit(found)
    assert (slope, offset) == pytest.approx((1.5, 4), rel=0.1)
    assert all(abs(score - share) < 0.05 for score, share, count in reliability(found, slope, offset) if count > 300)


def test_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 1)
    first = Training(net, 0.1, tmp_path / "a.checkpoint")
    first.done = 49
    first.run(lambda: net(torch.ones(1, 2)).square().mean(), 0.001, 0.0, lambda *_: None)
    again = Training(torch.nn.Linear(2, 1), 0.1, tmp_path / "a.checkpoint")
    assert again.done >= 50
    assert again.done % 50 == 0


def test_slice_without_time_trains_nothing(tmp_path: Path) -> None:
    training = Training(torch.nn.Linear(2, 1), 0.1, tmp_path / "a.checkpoint")
    training.run(lambda: pytest.fail("a step"), 0, 0.3, lambda *_: None)
    assert training.done == 0


def test_rate_grows_once_and_falls_at_the_end_of_a_slice() -> None:
    assert rate_factor(0, 0.0, 0.3) < 0.01
    assert rate_factor(1000, 0.5, 0.3) == 1
    assert rate_factor(1000, 0.85, 0.3) == pytest.approx(0.5)


def test_measured_norms_leave_the_outputs_and_are_those_of_the_batch() -> None:
    net = Detector(len(KINDS))
    load_weights(net, DETECTOR)
    images = torch.randn(4, 3, *SIZE_WH[::-1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = net.eval()(images)
        measure_norms(net, images)
        for kept, trained, old in zip(net.eval()(images), net.train()(images), before, strict=True):
            torch.testing.assert_close(kept, old, rtol=0, atol=1e-2)
            torch.testing.assert_close(trained, old, rtol=0, atol=0.1)  # of its batch, not of what was measured


@pytest.mark.parametrize("options", [["detector"], ["person", "--start", "x"]])
def test_weights_to_mix_without_a_detector_to_start_from_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--data", "x", "--out", "x", "--mixed", "x"]
    with pytest.raises(SystemExit):
        parsed([*options, *needed])
    assert "give the model detector, and --start" in capsys.readouterr().err
    assert parsed(["detector", "--start", "x", *needed]).share == 0.33


def test_mixed_weights_are_the_mean_and_their_norms_those_of_the_images(tmp_path: Path) -> None:
    nets = [nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)) for _ in range(2)]
    wanted = 0.75 * nets[0][0].weight + 0.25 * nets[1][0].weight
    torch.save(nets[1].state_dict(), tmp_path / "other.pth")
    mix_weights(nets[0], tmp_path / "other.pth", 0.25, torch.randn(8, 3, 16, 16) + 3)
    torch.testing.assert_close(nets[0][0].weight, wanted)
    seen = nets[0].eval()(torch.randn(8, 3, 16, 16) + 3).detach()
    assert seen.mean().abs() < 0.1
    assert float(seen.std()) == pytest.approx(1, abs=0.1)
    assert nets[0][1].momentum == pytest.approx(0.1)  # training goes on as before


def test_a_horse_that_may_be_another_animal_is_less_of_a_horse() -> None:
    logits = torch.zeros(1, len(KINDS), 1, 3)
    logits[0, HORSE, 0], logits[0, 4, 0] = torch.tensor([2.0, 2.0, 2.0]), torch.tensor([-5.0, 1.5, 3.0])
    shown = OfCard(torch.nn.Identity())([logits] * 6)[0]
    assert shown[0, PERSON, 0].tolist() == [0, 0, 0]
    assert shown[0, HORSE, 0].tolist() == pytest.approx([2, 2.5 - RIVAL_MARGIN, 1 - RIVAL_MARGIN])


@pytest.mark.parametrize(("kernel", "biased"), [(5, False), (7, True)])
def test_gradients_of_depthwise_convolutions_equal_those_of_pytorch(kernel: int, *, biased: bool) -> None:
    conv = torch.nn.Conv2d(8, 8, kernel, padding=kernel // 2, groups=8, bias=biased)
    _assert_learns_alike(conv, torch.randn(2, 8, 6, 9, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(2, 8, 6, 10), (1, 24, 3, 5)], ids=["wide rows", "few pixels, an odd number"])
def test_gradients_and_statistics_of_normed_convolutions_equal_those_of_pytorch(
    shape: tuple[int, ...], *, relu: bool
) -> None:
    conv = Conv(shape[1], 16, 3)
    conv.relu = relu
    torch.nn.init.uniform_(conv.bn.weight, 0.5, 1.5)
    torch.nn.init.normal_(conv.bn.bias)
    _assert_learns_alike(conv, 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 1)


def _assert_learns_alike(module: nn.Module, x: Tensor) -> None:
    """Compare what is learned in bfloat16 with float32, with and without `speed_up`: as near as bfloat16 is."""
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    weights = torch.randn(module(x).shape, generator=torch.Generator().manual_seed(2))
    exact, usual, fast = module, copy.deepcopy(module), copy.deepcopy(module)
    speed_up(fast)
    wanted = _learned(exact, x, weights)
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = _learned(usual, x, weights), _learned(fast, x, weights)
    assert any("forward" in vars(part) for part in fast.modules())
    for at, (one, other, true) in enumerate(zip(ours, theirs, wanted, strict=True)):
        room = 0.01 * true.abs().max() + 1.5 * (other - true).abs().max()
        assert (one - true).abs().max() <= room, at


def _learned(module: nn.Module, x: Tensor, weights: Tensor) -> list[Tensor]:
    """Return the result, the gradients, and the running statistics after it."""
    out = module(x)
    gradients = torch.autograd.grad((out.float() * weights).sum(), (x, *module.parameters()))
    return [out.float(), *gradients, *(buffer for buffer in module.buffers() if buffer.is_floating_point())]
