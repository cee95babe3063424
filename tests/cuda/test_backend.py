"""The CUDA backend against the numpy definition and against the CPU backend; same models, same frames."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edged.capture.frame_buffer import FrameBuffer, allocate_pages
from edged.config.tables.camera import QualityConfig
from edged.errors import DeviceLost, ModelFault
from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, InferenceResult
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cuda import engine_ort
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.engine_ort import OrtCudaEngine
from edged.inference.cuda.memory import MAX_FRAMES_PER_CAMERA
from edged.inference.decode.detectors import NON_FINITE
from edged.inference.params import quality_limits
from engines.card import POSE_BATCHES, Precision
from engines.catalogue import load
from engines.prepare import prepare
from tests.cuda.emulated import EMULATED, IMAGE, Emulated
from tests.cuda.numpy_backend import NumpyBackend
from tests.cuda.stand_in import StandIn
from tests.cuda.starter_models import DETECTOR, POSES, ROOT, STARTER
from tools.cuda import engine_torch

FRAMES = (20, 150, 205, 240)  # of the clip: a horse alone and with a person, by day and by infrared


@pytest.fixture(scope="module")
def clip() -> list[U8]:
    capture = cv2.VideoCapture(str(ROOT / "tools/demo/stall.mp4"))
    images = []
    for number in FRAMES:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, image = capture.read()
        assert good
        images.append(np.asarray(image, np.uint8))
    return images


def session(card: str, file: str) -> OrtSession:
    return OrtSession(load()[card], STARTER / file, threads=2)


@pytest.fixture(scope="module")
def defined() -> NumpyBackend:
    return NumpyBackend(session(*DETECTOR), {label: session(*pose) for label, pose in POSES.items()})


@pytest.fixture(scope="module")
def cpu() -> CpuBackend:
    return CpuBackend(session(*DETECTOR), {label: session(*pose) for label, pose in POSES.items()})


class Make:
    """Makes backends of the starter models, and remembers them and their engines."""

    def __init__(self) -> None:
        self.backends: list[CudaBackend] = []
        self.engines: dict[str, Any] = {}  # of the last backend, by model

    def __call__(self, precision: Precision = "fp32", *, capturable: bool = True, graphs: bool = True) -> CudaBackend:
        if not EMULATED and precision == "fp16" and not engine_ort.is_available():
            pytest.skip("needs onnxruntime-gpu")
        gpu = Gpu()

        def engine(name: str, file: str) -> Engine:
            card, posing = load()[name], "pose" in name
            batch: Any = (1, 4, 8) if posing else 1
            model = prepare(card, (STARTER / file).read_bytes(), batch=batch, precision=precision, io=precision)
            batches = POSE_BATCHES if posing else (1,)
            if EMULATED:
                self.engines[name] = StandIn(gpu, card, model, batches, capturable=capturable)
            elif not engine_ort.is_available():
                self.engines[name] = engine_torch.open_engine(card, STARTER / file, gpu, batches)
            else:
                prepared = card.model_copy(update={"family": model.family})
                self.engines[name] = OrtCudaEngine(gpu, prepared, model, batches)
            return self.engines[name]  # type: ignore[no-any-return]

        poses = {label: engine(*pose) for label, pose in POSES.items()}
        self.backends.append(CudaBackend(gpu, engine(*DETECTOR), poses, IMAGE, graphs=graphs))
        return self.backends[-1]


@pytest.fixture
def make(driver: ctypes.CDLL) -> Iterator[Make]:
    """All backends are closed at the end, and must leave nothing behind."""
    before = driver.emulated(b"alive") if EMULATED else 0
    made = Make()
    yield made
    for backend in reversed(made.backends):
        backend.close()
    if EMULATED:
        assert driver.emulated(b"alive") == before
        assert driver.emulated(b"registered") == 0


def new_params(least: float = 0.25, limit: int = 16, **more: Any) -> InferenceParams:
    return InferenceParams(
        thresholds=np.full(2, least, np.float32),
        max_subjects=limit,
        quality_limits=quality_limits(QualityConfig()),
        **more,
    )


def frame(image: U8, camera: str = "a", seq: int = 0) -> Frame:
    return Frame(camera=camera, seq=seq, captured_ns=0, image=image)


def same(
    got: InferenceResult, expected: InferenceResult, *, px: float = 0.05, of: float = 0.97, most: float = 1.0
) -> None:
    """The same subjects, a share `of` their keypoints within `px`, and none further than `most` px.

    In boxes on nothing distributions are flat: the last bits decide between neighbouring bins.
    """
    every = apart(got, expected, px)
    assert (every <= px).sum() >= of * len(every)
    assert every.max(initial=0) < most


def apart(got: InferenceResult, expected: InferenceResult, px: float = 0.05) -> F32:
    """(N,) distance in px of each keypoint from the expected one; the subjects must be the same."""
    assert got.boxes.label.tolist() == expected.boxes.label.tolist()
    np.testing.assert_allclose(got.boxes.xyxy, expected.boxes.xyxy, atol=px)
    np.testing.assert_allclose(got.boxes.score, expected.boxes.score, atol=0.01)
    np.testing.assert_allclose(
        (got.quality.brightness, got.quality.contrast), (expected.quality.brightness, expected.quality.contrast), atol=1
    )
    pairs = zip(got.keypoints, expected.keypoints, strict=True)
    far = [np.linalg.norm(a[:, XY] - b[:, XY], axis=1) for a, b in pairs if a is not None and b is not None]
    every = np.concatenate([*far, np.zeros(0, np.float32)])
    return np.asarray(every[np.isfinite(every)], np.float32)


@pytest.mark.parametrize("roi", [None, (40, 20, 600, 350)], ids=str)
def test_backend_equals_definition(make: Make, defined: NumpyBackend, clip: list[U8], roi: Any) -> None:
    """Up to ties: one keypoint of 82 has two neighbouring SimCC bins of equal height but for the last bits."""
    backend, params, seen, far = make(), new_params(roi=roi), 0, []
    for _ in range(3):  # enqueued, captured, replayed
        for image in clip:
            got = backend.infer(frame(image), params, Boxes.empty(), detect=True)
            expected = defined.infer(frame(image), params, Boxes.empty(), detect=True)
            far.append(apart(got, expected))
            seen += len(got.boxes)
    assert seen >= 3 * len(clip)
    every = np.concatenate(far)
    assert np.mean(every <= 0.05) >= 0.98
    assert every.max() < 1


def test_backend_equals_cpu_backend_up_to_ties(make: Make, cpu: CpuBackend, clip: list[U8]) -> None:
    """OpenCV's pixels are a grey level away from the definition; that moves SimCC peaks of nearly equal height."""
    backend = make()
    for image in clip:
        got, expected = (p.infer(frame(image), new_params(), Boxes.empty(), detect=True) for p in (backend, cpu))
        same(got, expected, px=1, of=0.75, most=np.inf)


def test_half_precision_is_near_definition(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    backend = make("fp16")
    for image in clip:
        got, expected = (p.infer(frame(image), new_params(), Boxes.empty(), detect=True) for p in (backend, defined))
        same(got, expected, px=3, of=0.9, most=np.inf)


@pytest.mark.parametrize("count", [0, 1, 3, 9, 23, 70])
def test_any_number_of_priors_is_posed(make: Make, defined: NumpyBackend, clip: list[U8], count: int) -> None:
    chance = np.random.default_rng(count)
    corner = chance.uniform(0, 400, (count, 2))
    xyxy = np.concatenate((corner, corner + chance.uniform(40, 200, (count, 2))), axis=1).astype(np.float32)
    label = chance.integers(0, 2, count)
    priors = Boxes(xyxy=xyxy, score=np.full(count, np.nan, np.float32), label=label)
    got, expected = (p.infer(frame(clip[1]), new_params(), priors, detect=False) for p in (make(), defined))
    same(got, expected)
    assert len(got.boxes) == count


def test_more_subjects_than_predicted_are_posed(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    """A low threshold makes nearly every anchor a subject."""
    params = new_params(0.06, limit=40)
    got, expected = (p.infer(frame(clip[2]), params, Boxes.empty(), detect=True) for p in (make(), defined))
    assert len(expected.boxes) > 8
    same(got, expected)


def test_low_box_near_prior_is_kept(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    backend = make()
    priors = defined.infer(frame(clip[1]), new_params(), Boxes.empty(), detect=True).boxes
    strict = new_params(float(priors.score.max()) * 1.2)
    for some in (Boxes.empty(), priors):
        got, expected = (p.infer(frame(clip[1]), strict, some, detect=True) for p in (backend, defined))
        same(got, expected)
        assert (len(got.boxes) > 0) == (len(some) > 0)


def test_degraded_frame_has_no_subjects_and_defined_quality(make: Make, defined: NumpyBackend) -> None:
    dark = np.full((360, 640, 3), 2, np.uint8)
    dark[100:120, 200:300] = 4
    got, expected = (p.infer(frame(dark), new_params(), Boxes.empty(), detect=True) for p in (make(), defined))
    assert got.quality.degraded == expected.quality.degraded != ()
    assert len(got.boxes) == 0
    assert got.keypoints == ()


def test_cameras_of_different_sizes_alternate(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    backend, wide, small = make(), new_params(), new_params(0.3)
    halved = np.asarray(cv2.resize(clip[2], (320, 180)), np.uint8)
    for _ in range(3):
        for name, params, image in (("a", wide, clip[0]), ("b", small, halved)):
            got, expected = (
                p.infer(frame(image, name), params, Boxes.empty(), detect=True) for p in (backend, defined)
            )
            same(got, expected)


def page_aligned(image: U8) -> U8:
    buffer = FrameBuffer("a").reallocate(image.shape)
    buffer[:] = image
    return buffer


def test_page_aligned_frame_is_mapped_and_other_copied(make: Make, clip: list[U8]) -> None:
    backend = make()
    seen = backend.infer(frame(page_aligned(clip[1])), new_params(), Boxes.empty(), detect=True)
    modes = [backend.frame_access]
    unaligned = allocate_pages((clip[1].nbytes + 64,))[64:].reshape(clip[1].shape)
    np.copyto(unaligned, clip[1])
    copied = backend.infer(frame(unaligned), new_params(), Boxes.empty(), detect=True)
    assert [*modes, backend.frame_access] == ["mapped", "copied"]
    assert copied.boxes.xyxy.tolist() == seen.boxes.xyxy.tolist()


def test_idle_frames_are_unregistered(make: Make, emulated: Emulated, monkeypatch: Any) -> None:
    monkeypatch.setattr("edged.inference.cuda.memory.MAX_IDLE_FRAMES", 3)
    backend = make()
    grey = np.full((64, 64, 3), 90, np.uint8)
    for _ in range(12):
        backend.infer(frame(page_aligned(grey)), new_params(), Boxes.empty(), detect=True)
    assert 1 <= emulated("registered") <= 6


def test_reopened_camera_replaces_only_its_own_frames(make: Make, emulated: Emulated) -> None:
    backend, steady = make(), page_aligned(np.full((64, 64, 3), 90, np.uint8))
    for _ in range(40):
        backend.infer(frame(steady, "steady"), new_params(), Boxes.empty(), detect=True)
        backend.infer(frame(page_aligned(steady), "flapping"), new_params(), Boxes.empty(), detect=True)
        assert backend.frame_access == "mapped"
    assert emulated("registered") == MAX_FRAMES_PER_CAMERA + 1


def test_steady_state_is_one_graph_one_wait_no_allocation(make: Make, emulated: Emulated, clip: list[U8]) -> None:
    backend, images = make(), [page_aligned(image) for image in clip[:2]]
    for seq in range(12):
        backend.infer(frame(images[seq % 2], seq=seq), new_params(), Boxes.empty(), detect=True)
    params = new_params()
    before = {what: emulated(what) for what in ("allocations", "launches", "replays", "waits")}
    for seq in range(20):
        backend.infer(frame(images[seq % 2], seq=seq), params, Boxes.empty(), detect=True)
    after = {what: emulated(what) - earlier for what, earlier in before.items()}
    assert after == {"allocations": 0, "launches": 0, "replays": 20, "waits": 20}
    assert backend.uses_graphs


@pytest.mark.parametrize("why", ["refused", "engine", "switched off"])
def test_results_without_graphs_are_same(
    make: Make, emulated: Emulated, defined: NumpyBackend, clip: list[U8], why: str
) -> None:
    emulated.refuse_capture(why == "refused")
    backend = make(capturable=why != "engine", graphs=why != "switched off")
    replays = emulated("replays")
    for _ in range(3):
        got, expected = (p.infer(frame(clip[1]), new_params(), Boxes.empty(), detect=True) for p in (backend, defined))
        same(got, expected)
    assert emulated("replays") == replays
    assert not backend.uses_graphs


@pytest.mark.parametrize("model", [DETECTOR[0], POSES["horse"][0]])
def test_non_finite_output_fails_one_frame_only(make: Make, emulated: Emulated, clip: list[U8], model: str) -> None:
    backend = make()
    engine = make.engines[model]
    whole = backend.infer(frame(clip[0]), new_params(), Boxes.empty(), detect=True)
    engine.poison = np.nan
    with pytest.raises(ModelFault) as caught:
        backend.infer(frame(clip[0]), new_params(), Boxes.empty(), detect=True)
    assert caught.value.code == NON_FINITE
    engine.poison = None
    assert len(backend.infer(frame(clip[0]), new_params(), Boxes.empty(), detect=True).boxes) == len(whole.boxes)


def test_lost_gpu_is_fatal_and_backend_closes(make: Make, emulated: Emulated, clip: list[U8]) -> None:
    backend = make()
    backend.infer(frame(clip[0]), new_params(), Boxes.empty(), detect=True)
    waits = emulated("waits")
    emulated.lose(1)
    with pytest.raises(DeviceLost):
        backend.infer(frame(clip[0]), new_params(), Boxes.empty(), detect=True)
    emulated.lose(0)
    assert emulated("waits") <= waits + 1


def test_allocated_frames_are_page_aligned() -> None:
    assert FrameBuffer("a").reallocate((7, 5, 3)).ctypes.data % mmap.PAGESIZE == 0
