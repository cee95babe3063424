"""The whole CUDA plane against the data path as it is defined, and against the CPU plane; same models, same frames."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
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
from edged.pipeline import quality_limits
from engines.build.service import POSE_BATCHES
from engines.catalogue import load
from engines.prepare import prepare
from engines.prepare.model import Precision
from tests.cuda.conftest import EMULATED, IMAGE, Emulated
from tests.cuda.defined import NumpyBackend
from tests.cuda.stand_in import StandIn
from tools.cuda import engine_torch

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "engines/starter"
DETECTOR = ("det-person-horse", "det_person_horse.onnx")
POSES = {
    "person": ("rtmpose-t-lsp14", "rtmpose_lsp_t.onnx"),
    "horse": ("rtmpose-t-ap10k-horse", "rtmpose_horse_t.onnx"),
}
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


Make = Callable[..., CudaBackend]


@pytest.fixture
def make(driver: ctypes.CDLL) -> Iterator[Make]:
    """Planes on the emulated GPU, closed at the end, which must leave nothing behind."""
    before, planes = driver.emulated(b"alive") if EMULATED else 0, []

    def made(precision: Precision = "fp32", *, captures: bool = True, graphs: bool = True) -> CudaBackend:
        if not EMULATED and precision == "fp16" and not engine_ort.is_available():
            pytest.skip("needs onnxruntime-gpu")
        gpu = Gpu()

        def engine(name: str, file: str) -> Engine:
            card, posing = load()[name], "pose" in name
            batch: Any = (1, 4, 8) if posing else 1
            model = prepare(card, (STARTER / file).read_bytes(), batch=batch, precision=precision, io=precision)
            batches = POSE_BATCHES if posing else (1,)
            if EMULATED:
                return StandIn(gpu, card, model, batches, capturable=captures)
            if not engine_ort.is_available():
                return engine_torch.open_engine(card, STARTER / file, gpu, batches)
            return OrtCudaEngine(gpu, card.model_copy(update={"family": model.family}), model, batches)

        planes.append(
            CudaBackend(gpu, engine(*DETECTOR), {k: engine(*v) for k, v in POSES.items()}, IMAGE, graphs=graphs)
        )
        return planes[-1]

    yield made
    for plane in reversed(planes):
        plane.close()
    if EMULATED:
        assert driver.emulated(b"alive") == before
        assert driver.emulated(b"registered") == 0


def focus(least: float = 0.25, limit: int = 16, **more: Any) -> InferenceParams:
    return InferenceParams(
        thresholds=np.full(2, least, np.float32),
        max_subjects=limit,
        quality_limits=more.pop("gate", quality_limits(QualityConfig())),
        **more,
    )


def frame(image: U8, camera: str = "a", seq: int = 0) -> Frame:
    return Frame(camera=camera, seq=seq, captured_ns=0, image=image)


def same(got: InferenceResult, wanted: InferenceResult, *, px: float = 0.05, of: float = 0.99) -> None:
    """The same subjects, and so many of their keypoints within `px`."""
    every = apart(got, wanted, px)
    assert (every <= px).sum() >= of * len(every)


def apart(got: InferenceResult, wanted: InferenceResult, px: float = 0.05) -> F32:
    """(N,) how many px each keypoint lies from where it is wanted, of subjects that are the same."""
    assert got.boxes.label.tolist() == wanted.boxes.label.tolist()
    np.testing.assert_allclose(got.boxes.xyxy, wanted.boxes.xyxy, atol=px)
    np.testing.assert_allclose(got.boxes.score, wanted.boxes.score, atol=0.01)
    np.testing.assert_allclose(
        (got.quality.brightness, got.quality.contrast), (wanted.quality.brightness, wanted.quality.contrast), atol=1
    )
    pairs = zip(got.keypoints, wanted.keypoints, strict=True)
    far = [np.linalg.norm(a[:, XY] - b[:, XY], axis=1) for a, b in pairs if a is not None and b is not None]
    every = np.concatenate([*far, np.zeros(0, np.float32)])
    return np.asarray(every[np.isfinite(every)], np.float32)


@pytest.mark.parametrize("roi", [None, (40, 20, 600, 350)], ids=str)
def test_the_plane_sees_what_is_defined(make: Make, defined: NumpyBackend, clip: list[U8], roi: Any) -> None:
    """But for ties: one keypoint of 82 has two SimCC bins beside each other of one height, up to the last bits."""
    plane, look, seen, far = make(), focus(roi=roi), 0, []
    for _ in range(3):  # put onto the stream, captured, replayed
        for image in clip:
            got = plane.infer(frame(image), look, Boxes.empty(), detect=True)
            wanted = defined.infer(frame(image), look, Boxes.empty(), detect=True)
            far.append(apart(got, wanted))
            seen += len(got.boxes)
    assert seen >= 3 * len(clip)
    every = np.concatenate(far)
    assert np.mean(every <= 0.05) >= 0.98
    assert every.max() < 1


def test_it_sees_what_the_cpu_plane_sees_up_to_ties(make: Make, cpu: CpuBackend, clip: list[U8]) -> None:
    """OpenCV's pixels are a grey level away from the defined ones, which turns SimCC peaks of nearly equal height."""
    plane = make()
    for image in clip:
        got, wanted = (p.infer(frame(image), focus(), Boxes.empty(), detect=True) for p in (plane, cpu))
        same(got, wanted, px=1, of=0.75)


def test_in_half_precision_it_sees_nearly_the_same(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    plane = make("fp16")
    for image in clip:
        got, wanted = (p.infer(frame(image), focus(), Boxes.empty(), detect=True) for p in (plane, defined))
        same(got, wanted, px=3, of=0.9)


@pytest.mark.parametrize("count", [0, 1, 3, 9, 23, 70])
def test_any_number_of_known_boxes_is_posed_each_with_its_own_points(
    make: Make, defined: NumpyBackend, clip: list[U8], count: int
) -> None:
    chance = np.random.default_rng(count)
    corner = chance.uniform(0, 400, (count, 2))
    xyxy = np.concatenate((corner, corner + chance.uniform(40, 200, (count, 2))), axis=1).astype(np.float32)
    label = chance.integers(0, 2, count)
    known = Boxes(xyxy=xyxy, score=np.full(count, np.nan, np.float32), label=label)
    got, wanted = (p.infer(frame(clip[1]), focus(), known, detect=False) for p in (make(), defined))
    same(got, wanted)
    assert len(got.boxes) == count


def test_more_subjects_than_were_reckoned_with_are_posed_all_the_same(
    make: Make, defined: NumpyBackend, clip: list[U8]
) -> None:
    """Every anchor that is not quite empty is a subject here."""
    look = focus(0.06, limit=40)
    got, wanted = (p.infer(frame(clip[2]), look, Boxes.empty(), detect=True) for p in (make(), defined))
    assert len(wanted.boxes) > 8
    same(got, wanted)


def test_a_known_subject_keeps_its_faint_box(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    plane = make()
    known = defined.infer(frame(clip[1]), focus(), Boxes.empty(), detect=True).boxes
    strict = focus(float(known.score.max()) * 1.2)
    for expected in (Boxes.empty(), known):
        got, wanted = (p.infer(frame(clip[1]), strict, expected, detect=True) for p in (plane, defined))
        same(got, wanted)
        assert (len(got.boxes) > 0) == (len(expected) > 0)


def test_a_degraded_frame_has_no_subjects_and_its_figures_are_the_cpu_plane_s(
    make: Make, defined: NumpyBackend
) -> None:
    dark = np.full((360, 640, 3), 2, np.uint8)
    dark[100:120, 200:300] = 4
    got, wanted = (p.infer(frame(dark), focus(), Boxes.empty(), detect=True) for p in (make(), defined))
    assert got.quality.degraded == wanted.quality.degraded != ()
    assert len(got.boxes) == 0
    assert got.keypoints == ()


def test_cameras_of_different_sizes_take_turns(make: Make, defined: NumpyBackend, clip: list[U8]) -> None:
    plane, wide, small = make(), focus(), focus(0.3)
    halved = np.asarray(cv2.resize(clip[2], (320, 180)), np.uint8)
    for _ in range(3):
        for name, look, image in (("a", wide, clip[0]), ("b", small, halved)):
            got, wanted = (p.infer(frame(image, name), look, Boxes.empty(), detect=True) for p in (plane, defined))
            same(got, wanted)


def in_slot(image: U8) -> U8:
    slot = FrameBuffer("a").reallocate(image.shape)
    slot[:] = image
    return slot


def test_a_frame_in_a_slot_is_read_in_place_and_any_other_copied(make: Make, clip: list[U8]) -> None:
    plane = make()
    seen = plane.infer(frame(in_slot(clip[1])), focus(), Boxes.empty(), detect=True)
    modes = [plane.frame_access]
    elsewhere = allocate_pages((clip[1].nbytes + 64,))[64:].reshape(clip[1].shape)
    np.copyto(elsewhere, clip[1])
    away = plane.infer(frame(elsewhere), focus(), Boxes.empty(), detect=True)
    assert [*modes, plane.frame_access] == ["mapped", "copied"]
    assert away.boxes.xyxy.tolist() == seen.boxes.xyxy.tolist()


def test_slots_that_are_not_used_any_more_are_let_go(make: Make, emulated: Emulated, monkeypatch: Any) -> None:
    monkeypatch.setattr("edged.inference.cuda.memory.MAX_IDLE_FRAMES", 3)
    plane = make()
    grey = np.full((64, 64, 3), 90, np.uint8)
    for _ in range(12):
        plane.infer(frame(in_slot(grey)), focus(), Boxes.empty(), detect=True)
    assert 1 <= emulated("registered") <= 6


def test_a_camera_that_comes_and_goes_leaves_no_slots_behind_and_other_cameras_theirs(
    make: Make, emulated: Emulated
) -> None:
    plane, steady = make(), in_slot(np.full((64, 64, 3), 90, np.uint8))
    for _ in range(40):
        plane.infer(frame(steady, "steady"), focus(), Boxes.empty(), detect=True)
        plane.infer(frame(in_slot(steady), "flapping"), focus(), Boxes.empty(), detect=True)
        assert plane.frame_access == "mapped"
    assert emulated("registered") == MAX_FRAMES_PER_CAMERA + 1


def test_steady_state_allocates_nothing_and_every_frame_is_one_graph_and_one_wait(
    make: Make, emulated: Emulated, clip: list[U8]
) -> None:
    plane, slots = make(), [in_slot(image) for image in clip[:2]]
    for seq in range(12):
        plane.infer(frame(slots[seq % 2], seq=seq), focus(), Boxes.empty(), detect=True)
    look = focus()
    before = {what: emulated(what) for what in ("allocations", "launches", "replays", "waits")}
    for seq in range(20):
        plane.infer(frame(slots[seq % 2], seq=seq), look, Boxes.empty(), detect=True)
    after = {what: emulated(what) - earlier for what, earlier in before.items()}
    assert after == {"allocations": 0, "launches": 0, "replays": 20, "waits": 20}
    assert plane.uses_graphs


@pytest.mark.parametrize("why", ["refused", "engine", "asked"])
def test_without_graphs_everything_is_the_same_only_launched_one_by_one(
    make: Make, emulated: Emulated, defined: NumpyBackend, clip: list[U8], why: str
) -> None:
    emulated.refuse_capture(why == "refused")
    plane = make(captures=why != "engine", graphs=why != "asked")
    replays = emulated("replays")
    for _ in range(3):
        got, wanted = (p.infer(frame(clip[1]), focus(), Boxes.empty(), detect=True) for p in (plane, defined))
        same(got, wanted)
    assert emulated("replays") == replays
    assert not plane.uses_graphs


@pytest.mark.parametrize("which", ["detector", "pose"])
def test_a_wild_output_gives_the_frame_up_and_the_next_one_is_whole(
    make: Make, emulated: Emulated, clip: list[U8], which: str
) -> None:
    plane = make()
    stage = plane._detector if which == "detector" else plane._poses[1]
    engine: Any = stage._engine
    whole = plane.infer(frame(clip[0]), focus(), Boxes.empty(), detect=True)
    engine.poison = np.nan
    with pytest.raises(ModelFault, match="NaN or infinite values; frame given up"):
        plane.infer(frame(clip[0]), focus(), Boxes.empty(), detect=True)
    engine.poison = None
    assert len(plane.infer(frame(clip[0]), focus(), Boxes.empty(), detect=True).boxes) == len(whole.boxes)


def test_a_lost_gpu_is_fatal_and_the_plane_still_closes(make: Make, emulated: Emulated, clip: list[U8]) -> None:
    plane = make()
    plane.infer(frame(clip[0]), focus(), Boxes.empty(), detect=True)
    waits = emulated("waits")
    emulated.lose(1)
    with pytest.raises(DeviceLost, match="restart the daemon"):
        plane.infer(frame(clip[0]), focus(), Boxes.empty(), detect=True)
    emulated.lose(0)
    assert emulated("waits") <= waits + 1


def test_slots_begin_on_pages() -> None:
    assert FrameBuffer("a").reallocate((7, 5, 3)).ctypes.data % mmap.PAGESIZE == 0
