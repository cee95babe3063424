"""Real OpenVINO beside ONNX Runtime: the same results, its errors in our words, and a trial at the first start.

It lies in a folder of its own: where it is installed, every start with a fresh store begins with a trial.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEEL = Path(sys.prefix) / "openvino"  # `make system` puts it there
LIMIT_S = 600

if not WHEEL.is_dir():
    pytest.skip(f"{WHEEL}: no OpenVINO; make system installs it", allow_module_level=True)

SESSIONS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from edged.errors import EdgedError
from edged.inference.cpu.openvino import OpenVinoSession
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from engines.errors import EngineError

def error(work):
    try:
        work()
    except (EdgedError, EngineError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return "none"

starter, junk = Path("engines/starter"), Path(sys.argv[1])
cards, apart = load(), {}
files = {"det-person-horse": ("det_person_horse.onnx", 1), "rtmpose-t-lsp14": ("rtmpose_lsp_t.onnx", 3)}
for name, (file, batch) in files.items():
    sessions = [kind(cards[name], starter / file, 2) for kind in (OpenVinoSession, OrtSession)]
    sessions[0].warm_up(2)
    width, height = cards[name].input.size_wh
    tensor = np.random.default_rng(1).normal(size=(batch, 3, height, width)).astype(np.float32)
    pairs = zip(*(session.run(tensor) for session in sessions), strict=True)
    apart[name] = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
junk.write_bytes((starter / "rtmpose_lsp_t.onnx").read_bytes()[:100000])
sharing = OpenVinoSession(cards["rtmpose-t-lsp14"], starter / "rtmpose_lsp_t.onnx", 1, frames_at_once=2)
sharing.warm_up(1)
frames = [tensor[:1] * scale for scale in (0.5, 1.0) * 10]
with ThreadPoolExecutor(2) as pool:
    both = list(pool.map(sharing.run, frames))
alone = [sharing.run(frame) for frame in frames]
apart["two at once"] = max(float(np.abs(a - b).max()) for pair in zip(both, alone) for a, b in zip(*pair))
nan = np.full((1, 3, 256, 192), np.nan, np.float32)
errors = {
    "truncated": error(lambda: OpenVinoSession(cards["rtmpose-t-lsp14"], junk)),
    "absent": error(lambda: OpenVinoSession(cards["rtmpose-t-lsp14"], junk.parent / "absent.onnx")),
    "other card": error(lambda: OpenVinoSession(cards["rtmpose-t-ap10k-horse"], starter / "rtmpose_lsp_t.onnx")),
    "shape": error(lambda: sessions[0].run(tensor[:, :, :100])),
    "NaN": error(lambda: sessions[0].run(nan)),
}
print(json.dumps({"apart": apart, "errors": errors}))
"""
MODELS = """
import json, logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO)
from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.inference.cpu import choose
from edged.inference.load_models import load_models
choose.TRIAL_TIMEOUT_S = 500  # on a busy machine
compute = ComputeConfig(backend="cpu", cpu_runtime=sys.argv[2], threads=2)
models = load_models(ModelsConfig(store=Path(sys.argv[1])), compute, cameras=int(sys.argv[3]))
loaded = "openvino" in sys.modules
models.backend.close()
print(json.dumps({**models.backend_info, "by": models.runtime_by_model, "loaded": loaded}))
"""


def python(script: str, *arguments: str) -> tuple[dict[str, object], str]:
    """What a script prints at last, as JSON, and its log; OpenVINO is installed for it."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(WHEEL)])}
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    return found, ended.stderr


def test_openvino_computes_what_onnx_runtime_does_and_names_its_faults(tmp_path: Path) -> None:
    found, _ = python(SESSIONS, str(tmp_path / "junk.onnx"))
    assert max(found["apart"].values()) < 1e-4  # type: ignore[attr-defined]
    errors: dict[str, str] = found["errors"]  # type: ignore[assignment]
    for case in ("truncated", "absent"):
        assert errors[case].startswith("ModelMissing: model rtmpose-t-lsp14: OpenVINO refuses"), errors
    assert errors["other card"].startswith("CardError: model rtmpose-t-ap10k-horse: "), errors
    assert errors["shape"].startswith("ModelFault: model rtmpose-t-lsp14: run failed"), errors
    assert errors["NaN"].startswith("ModelFault: "), errors


def test_trial_of_first_start_is_told_and_kept(tmp_path: Path) -> None:
    first, log = python(MODELS, str(tmp_path), "auto", "1")
    assert "trying onnxruntime fp32, openvino fp32" in log
    assert str(first["cpu_reason"]).startswith("measured: onnxruntime fp32 ")
    assert " ms, openvino fp32 " in str(first["cpu_reason"])
    assert str(first["cpu_reason"]).endswith(" ms")  # neither was refused
    second, log = python(MODELS, str(tmp_path), "auto", "1")
    assert (second, "trying" in log) == (first, False)
    assert second["loaded"] is ("openvino" in set(second["by"].values()))  # type: ignore[attr-defined]


def test_openvino_that_is_asked_for_runs_all_models_and_a_frame_per_core(tmp_path: Path) -> None:
    found, log = python(MODELS, str(tmp_path), "openvino", "2")
    assert (found["frames_at_once"], found["threads"]) == (2, 1)
    assert set(found["by"].values()) == {"openvino"}  # type: ignore[attr-defined]
    assert "trying" not in log
