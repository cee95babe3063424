"""The CPU backend's pixels against their numpy definitions, and its boxes on awkward images."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, InferenceResult, QualityLimits
from edged.inference.cpu.backend import CpuBackend, Detector
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cpu.pixels import image_quality
from edged.inference.crop import Crop, crop_image
from edged.inference.image_quality import image_quality as measure_defined
from edged.inference.letterbox import Letterbox, letterbox, normalise
from engines.catalogue import load
from tests.support.waiting import LIMIT_S

STARTER = Path(__file__).parents[2] / "engines/starter"


def session(card: str, file: str) -> OrtSession:
    return OrtSession(load()[card], STARTER / file)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(session("det-person-horse", "det_person_horse.onnx"))


@pytest.fixture(scope="module")
def backend() -> CpuBackend:
    return CpuBackend(
        session("det-person-horse", "det_person_horse.onnx"),
        {
            "person": session("rtmpose-t-lsp14", "rtmpose_lsp_t.onnx"),
            "horse": session("rtmpose-t-ap10k-horse", "rtmpose_horse_t.onnx"),
        },
    )


def photo(width: int, height: int) -> U8:
    """Noise smoothed like a photograph."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.blur(noise, (5, 5)), np.uint8)


def infer(
    backend: CpuBackend, image: U8, priors: Boxes, *, detect: bool = False, least: float = 0.3
) -> InferenceResult:
    frame = Frame(camera="a", seq=0, captured_ns=0, image=image)
    params = InferenceParams(
        thresholds=np.full(len(backend.classes), least, np.float32),
        max_subjects=8,
        quality_limits=QualityLimits(),
    )
    return backend.infer(frame, params, priors, detect=detect)


def boxes(*rows: tuple[float, float, float, float], label: tuple[int, ...]) -> Boxes:
    return Boxes(xyxy=np.array(rows, np.float32), score=np.ones(len(rows), np.float32), label=np.array(label, np.int64))


def test_models_are_warmed_up_one_before_each_frame_that_follows_the_first() -> None:
    done, cold = list[str](), ["detector", "pose"]
    detector = session("det-person-horse", "det_person_horse.onnx")

    def warm_up() -> bool:
        done.append(cold.pop(0))
        return bool(cold)

    fresh = CpuBackend(detector, {}, warm_up=warm_up)
    for number in range(4):
        infer(fresh, photo(64, 48), Boxes.empty())
        done.append(str(number))
    assert done == ["0", "detector", "1", "pose", "2", "3"]


def test_models_are_warmed_up_while_no_other_frame_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, found = threading.Event(), list[bool]()
    warm = threading.Event()
    detector = session("det-person-horse", "det_person_horse.onnx")

    def slow(tensor: F32) -> list[F32]:
        busy.set()
        warm.wait(0.2)
        busy.clear()
        return run(tensor)

    def warm_up() -> bool:
        found.append(busy.is_set())
        warm.set()
        return False

    run = detector.run
    monkeypatch.setattr(detector, "run", slow)
    fresh = CpuBackend(detector, {}, frames_at_once=2, warm_up=warm_up)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(infer, fresh, photo(64, 48), Boxes.empty(), detect=True)
        assert busy.wait(LIMIT_S)
        second = pool.submit(infer, fresh, photo(64, 48), Boxes.empty(), detect=True)
        for frame in (first, second):
            frame.result(LIMIT_S)
    assert found == [False]


@pytest.mark.parametrize(
    "size_wh", [(1, 1), (500, 1), (1, 500), (64, 48), (641, 479), (1920, 1080), (7680, 4320)], ids=str
)
def test_letterbox_equals_definition_within_one_level(detector: Detector, size_wh: tuple[int, int]) -> None:
    image, card = photo(*size_wh), detector.card.input
    detector.letterbox(photo(100, 300))  # what the canvas held before must not show
    detector.letterbox(image)
    fit = Letterbox.fit(size_wh, card.size_wh, "centred" if card.fit == "centred" else "top-left")
    expected = letterbox(image, fit, card.size_wh, card.pad)
    assert np.abs(detector.canvas.astype(int) - expected).max() <= 1


def test_tensor_equals_definition_after_aspect_change(detector: Detector) -> None:
    card = detector.card.input
    unreachable = np.full(len(detector.classes), np.inf, np.float32)
    for size in ((48, 64), (64, 48), (64, 48)):
        detector.letterbox(photo(*size))
        detector.detect(unreachable, lambda stage: None)
        mean, std = np.array(card.mean, np.float32), np.array(card.std, np.float32)
        expected = normalise(detector.canvas, "rgb" if card.colour == "rgb" else "bgr", mean, std)
        np.testing.assert_allclose(detector.tensor[0], expected, atol=1e-6)


@pytest.mark.parametrize("box", [(20, 10, 220, 310), (-80, -50, 120, 90), (300, 200, 500, 460)], ids=str)
def test_opencv_crop_is_near_definition(box: tuple[int, ...]) -> None:
    image = photo(400, 320)
    crop = Crop.around(np.array(box, np.float32), (192, 256), 1.25)
    got = cv2.warpAffine(image, crop.to_net, crop.net_wh, flags=cv2.INTER_LINEAR)
    difference = np.abs(got.astype(int) - crop_image(image, crop))
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.999) <= 4


@pytest.mark.parametrize("blur", [0, 3])
def test_image_quality_equals_definition(blur: int) -> None:
    image = photo(320, 180)
    image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    assert image_quality(image) == pytest.approx(measure_defined(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)))


def test_infinite_threshold_gives_no_boxes(backend: CpuBackend) -> None:
    result = infer(backend, np.full((480, 640, 3), 114, np.uint8), Boxes.empty(), detect=True, least=np.inf)
    assert len(result.boxes) == 0
    assert result.keypoints == ()


@pytest.mark.parametrize("size_wh", [(1, 1), (500, 1), (1, 500)], ids=str)
def test_image_of_one_pixel_is_inferred(backend: CpuBackend, size_wh: tuple[int, int]) -> None:
    infer(backend, photo(*size_wh), boxes((0, 0, 1, 1), label=(0,)))


def test_box_gets_keypoints_of_its_class(backend: CpuBackend) -> None:
    people, horses = backend.classes.index("person"), backend.classes.index("horse")
    priors = boxes((0, 0, 50, 90), (60, 0, 160, 90), (100, 20, 150, 90), label=(people, horses, people))
    result = infer(backend, photo(200, 100), priors)
    assert [points.shape for points in result.keypoints if points is not None] == [(14, 3), (17, 3), (14, 3)]


def test_keypoints_follow_box_order(backend: CpuBackend) -> None:
    priors = boxes((0, 0, 50, 90), (140, 0, 190, 90), label=(0, 0))
    first, second = infer(backend, photo(200, 100), priors).keypoints
    assert first is not None
    assert second is not None
    assert first[:, XY].mean(0)[0] < 100 < second[:, XY].mean(0)[0]


def test_keypoints_of_box_across_edge_lie_in_crop(backend: CpuBackend) -> None:
    (points,) = infer(backend, photo(200, 100), boxes((-60, -40, 40, 80), label=(0,))).keypoints
    assert isinstance(points, np.ndarray)
    found = points[np.isfinite(points[:, 0])]
    assert len(found)
    assert (np.abs(found[:, XY] - (-10, 20)) <= 1.25 * 80).all()


class Meeting:
    """A session in which two frames must be at once."""

    def __init__(self, session: OrtSession) -> None:
        self.card, self._session, self._both = session.card, session, threading.Barrier(2, timeout=LIMIT_S)

    def run(self, tensor: F32) -> list[F32]:
        self._both.wait()
        return self._session.run(tensor)

    def close(self) -> None:
        self._session.close()


def test_frames_computed_at_once_have_the_boxes_of_frames_computed_in_turn(backend: CpuBackend) -> None:
    meeting = CpuBackend(Meeting(session("det-person-horse", "det_person_horse.onnx")), {}, frames_at_once=2)
    images = photo(320, 240), photo(640, 200)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda image: infer(meeting, image, Boxes.empty(), detect=True, least=0.01), images))
    for image, result in zip(images, found, strict=True):
        alone = infer(backend, image, Boxes.empty(), detect=True, least=0.01)
        assert len(alone.boxes) > 0
        np.testing.assert_allclose(result.boxes.xyxy, alone.boxes.xyxy, atol=0.01)


def test_class_without_pose_model_has_no_keypoints() -> None:
    alone = CpuBackend(session("det-person-horse", "det_person_horse.onnx"), {})
    assert infer(alone, photo(200, 100), boxes((0, 0, 50, 90), label=(0,))).keypoints == (None,)
