"""Model files that do not match their card are rejected by name, and loading allocates what frames need."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edged.errors import ModelFault, ModelMissing
from edged.frame import Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.decode.detectors import NON_FINITE
from engines.card import Card
from engines.catalogue import load
from engines.errors import CardError
from engines.store.tensors import check_tensors

STARTER = Path(__file__).parents[2] / "engines/starter"


@pytest.fixture(scope="module")
def yolox() -> Card:
    return load()["own-yolox-coco"]


def written(path: Path, shape: tuple[int, ...], value: float, takes: int = TensorProto.FLOAT) -> Path:
    """A model with the YOLOX card's tensor names whose output is `value` everywhere."""
    answer = helper.make_tensor("answer", TensorProto.FLOAT, shape, np.full(shape, value, np.float32).ravel())
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["output"], value=answer)],
        "constant",
        [helper.make_tensor_value_info("images", takes, (1, 3, 416, 416))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_model_output_raises_model_fault(tmp_path: Path, yolox: Card, value: float) -> None:
    backend = CpuBackend(OrtSession(yolox, written(tmp_path / "m.onnx", (1, 3549, 85), value)), {})
    frame = Frame(camera="a", seq=0, captured_ns=0, image=np.zeros((48, 64, 3), np.uint8))
    params = InferenceParams(thresholds=np.full(80, 0.3, np.float32), max_subjects=4, quality_limits=QualityLimits())
    with pytest.raises(ModelFault, match="own-yolox-coco") as caught:
        backend.infer(frame, params, Boxes.empty(), detect=True)
    assert caught.value.code == NON_FINITE


def test_model_of_other_output_shape_is_rejected(tmp_path: Path, yolox: Card) -> None:
    path = written(tmp_path / "m.onnx", (1, 3549, 6), 0)
    with pytest.raises(CardError, match="own-yolox-coco"):
        OrtSession(yolox, path)


def test_half_precision_model_is_rejected(tmp_path: Path, yolox: Card) -> None:
    path = written(tmp_path / "m.onnx", (1, 3549, 85), 0, TensorProto.FLOAT16)
    for load_it in (OrtSession, check_tensors):
        with pytest.raises(CardError, match="float16"):
            load_it(yolox, path)


def test_truncated_file_is_rejected(tmp_path: Path) -> None:
    whole = (STARTER / "det_person_horse.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelMissing, match=r"cut\.onnx"):
        OrtSession(load()["det-person-horse"], cut)


def test_text_file_is_rejected(tmp_path: Path, yolox: Card) -> None:
    page = tmp_path / "page.onnx"
    page.write_text("<html>404 not found</html>")
    with pytest.raises(ModelMissing, match=r"page\.onnx"):
        OrtSession(yolox, page)


def test_pose_model_as_detector_is_rejected() -> None:
    pose = OrtSession(load()["rtmpose-t-lsp14"], STARTER / "rtmpose_lsp_t.onnx")
    with pytest.raises(CardError, match="rtmpose-t-lsp14"):
        CpuBackend(pose, {})


def test_detector_as_pose_model_is_rejected() -> None:
    detector = OrtSession(load()["det-person-horse"], STARTER / "det_person_horse.onnx")
    with pytest.raises(CardError, match="det-person-horse"):
        CpuBackend(detector, {"person": detector})


WARMED = """
import sys
import numpy as np, psutil
from pathlib import Path
from edged.inference.load_models import load_models
from edged.config.tree import ComputeConfig, ModelsConfig
from edged.frame import Boxes, Frame, InferenceParams

models = load_models(ModelsConfig(store=Path(sys.argv[1])), ComputeConfig(backend="cpu"))
process = psutil.Process()
frame = Frame(camera="a", seq=0, captured_ns=0, image=np.zeros((360, 640, 3), np.uint8))
params = InferenceParams(thresholds=np.full(2, 2.0, np.float32), max_subjects=4)

def infer(horses):
    priors = Boxes(xyxy=np.full((horses, 4), (0, 0, 90, 200), np.float32), score=np.ones(horses, np.float32),
                   label=np.ones(horses, np.int64))
    for detect in (True, False, False, False):
        models.backend.infer(frame, params, priors, detect=detect)

infer(1)
before = process.memory_info().rss
for horses in (2, 3, 4, 8):
    infer(horses)
print((process.memory_info().rss - before) / 1e6)
"""


def test_memory_of_subjects_is_taken_with_the_second_frame_and_more_of_them_take_no_more(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WARMED, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown_mb = float(done.stdout)
    assert grown_mb < 14, "about 36 where nothing was taken, or where eight are one batch"


SHARED = """
import numpy as np, psutil
from pathlib import Path
from edged.inference.cpu.onnxruntime import OrtSession
from edged.runtime import allocator
from engines.catalogue import load

allocator.limit_arenas()
cards, starter = load(), Path("engines/starter")
files = {"rtmpose-t-lsp14": "rtmpose_lsp_t.onnx", "rtmpose-t-ap10k-horse": "rtmpose_horse_t.onnx"}
sessions = [OrtSession(cards[name], starter / file, threads=1) for name, file in files.items()]
process, grown = psutil.Process(), []
for session in sessions:
    before = process.memory_info().rss
    width, height = session.card.input.size_wh
    for _ in range(2):
        session.run(np.zeros((8, 3, height, width), np.float32))
    grown.append((process.memory_info().rss - before) / 1e6)
print(grown[1] / grown[0])
"""


def test_sessions_share_one_arena() -> None:
    root = STARTER.parents[1]
    done = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.8, "0.4; without a common arena 1.4"
