"""Training starts from the bundled detector and keeps its answers on photographs."""

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")

from tools.nets.starter import Detector  # noqa: E402
from tools.train import pictures  # noqa: E402
from tools.train.detector import Truth, distillation_loss, loss, priors  # noqa: E402
from tools.train.pictures import SIZE_WH, Horses, Mix, placed  # noqa: E402
from tools.train.schedule import set_train_mode  # noqa: E402
from tools.train.weights import blend, load_weights  # noqa: E402

SHIPPED = Path(__file__).parents[2] / "engines/starter/det_person_horse.onnx"
POSE = SHIPPED.with_name("rtmpose_lsp_t.onnx")


@pytest.fixture(scope="module")
def net() -> Detector:
    net = Detector()
    load_weights(net, SHIPPED)
    return net


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (1, 3, *SIZE_WH[::-1])).astype(np.float32)


def test_training_starts_from_the_bundled_detector(net: Detector, image: np.ndarray) -> None:
    shipped = onnxruntime.InferenceSession(SHIPPED, providers=["CPUExecutionProvider"]).run(None, {"input": image})
    with torch.no_grad():
        taken = net.eval()(torch.from_numpy(image))
    for ours, theirs in zip(taken, shipped, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_train_mode_does_not_change_the_outputs(net: Detector, image: np.ndarray) -> None:
    with torch.no_grad():
        before = net.eval()(torch.from_numpy(image))
        set_train_mode(net, fresh=False)
        assert net.training
        assert all(torch.equal(a, b) for a, b in zip(net(torch.from_numpy(image)), before, strict=True))


def test_export_of_another_net_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"rtmpose_lsp_t\.onnx.*do not fit Detector"):
        load_weights(Detector(), POSE)


def test_distillation_is_limited_to_the_subjects(net: Detector, image: np.ndarray) -> None:
    cells, box = priors(), torch.tensor([[[40.0, 40, 160, 200]]])
    truth = Truth(box, torch.tensor([[0]]), torch.tensor([[True]]))
    with torch.no_grad():
        answers = net.eval()(torch.from_numpy(image))
    answers = (*(one.clamp(min=-1.0) for one in answers[:3]), *answers[3:])  # sure enough to be held
    beside = tuple(one.clone() for one in answers)
    beside[0][:, :, 28:, 40:] += 3  # far from the subject
    within = tuple(one.clone() for one in answers)
    within[0][:, 0, 10:20, 8:16] -= 3
    same, apart = (float(distillation_loss(now, answers, truth, cells)) for now in (beside, within))
    assert same == pytest.approx(0, abs=1e-6)
    assert apart > 0.1
    assert float(loss(answers, truth, cells)) > 0


def test_picture_is_letterboxed_or_cropped() -> None:
    image, box = np.zeros((360, 640, 3), np.uint8), np.array([[320.0, 90, 640, 360]], np.float32)
    seen = [placed(image, box, np.array([1]), np.random.default_rng(seed))[1] for seed in range(40)]
    assert any(np.allclose(one, [[208, 58.5, 416, 234]]) for one in seen)
    cut = np.concatenate(seen)
    assert (cut >= 0).all()
    assert (cut <= SIZE_WH * 2).all()


def test_blend_interpolates_the_weights(net: Detector) -> None:
    trained, begun = Detector(), Detector()
    first, was = trained.backbone.stem[0].conv.weight.clone(), begun.backbone.stem[0].conv.weight
    blend(trained, begun, 0.75)
    torch.testing.assert_close(trained.backbone.stem[0].conv.weight, 0.75 * first + 0.25 * was)
    blend(trained, net, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(trained.state_dict().values(), net.state_dict().values(), strict=True))


def test_degraded_pictures_are_mixed_in_without_distillation(tmp_path: Path) -> None:
    photograph = tmp_path / "horse.png"
    cv2.imwrite(str(photograph), np.full((256, 416, 3), 128, np.uint8))
    mix = Mix([Horses([photograph], [np.array([[40.0, 40, 360, 220]], np.float32)])], [1.0])
    drawn = [mix.draw(np.random.default_rng(seed)) for seed in range(80)]
    fair = np.array([held for *_, held in drawn])
    assert 0.5 < fair.mean() < 0.9
    middles = [image[100:150, 150:250].astype(float) for image, *_ in drawn]
    rough = np.array([np.abs(np.diff(middle, axis=1)).mean() for middle in middles])
    assert rough[~fair].max() > 25 > rough[fair].max()
    dim = np.array([middle.mean() for middle in middles])
    assert dim[~fair].min() < 40 < dim[fair].min()


def test_some_degraded_pictures_have_an_infrared_spot() -> None:
    image = np.full((240, 400, 3), (60, 120, 180), np.uint8)
    worn = [pictures._degrade(image, np.random.default_rng(seed)).astype(float) for seed in range(60)]
    lit = [one for one in worn if np.ptp(one.mean(axis=(0, 1))) < 3]
    assert 4 < len(lit) < 30
    corners = [one[[0, -1]][:, [0, -1]] for one in (cv2.blur(one, (40, 40)) for one in lit)]
    assert all(one[60:180, 100:300].mean() > edges.mean() for one, edges in zip(lit, corners, strict=True))
