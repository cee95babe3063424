"""Where the time of the two models goes: operators, and GFLOP/s compared with a matrix product on this machine."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from tools.bench.interleaved import round_robin, timed_ms

GFLOP = {"detect": 0.64, "pose": 0.71}  # per call at batch 1, two per multiply-add: RTMDet-nano, RTMPose-t
SHAPES = {"detect": (1, 3, 256, 416), "pose": (1, 3, 256, 192)}
SIDE = 768  # of the matrices of the reference product
RUNS = 30
TOP = 4  # operators listed


def measure(models: Mapping[str, Path], turns: int) -> dict[str, Any]:
    """Return for each model ms with all threads and with one, GFLOP/s, and the most expensive operators."""
    sessions = {(name, threads): _session(path, threads) for name, path in models.items() for threads in (1, 0)}
    tensors = {name: np.random.default_rng(1).standard_normal(SHAPES[name], np.float32) for name in models}
    blocks = {f"{name} {threads}": _running(session, tensors[name]) for (name, threads), session in sessions.items()}
    square = np.random.default_rng(2).standard_normal((SIDE, SIDE), np.float32)
    blocks["product"] = lambda turn: [timed_ms(lambda: square @ square) for _ in range(10)]
    ms = {name: float(np.median(each)) for name, each in round_robin(blocks, turns).items()}
    return {
        "product_gflops": 2 * SIDE**3 / 1e6 / ms["product"],
        "models": {
            name: {
                "ms": ms[f"{name} 0"],
                "ms_one_thread": ms[f"{name} 1"],
                "gflops": GFLOP[name] / ms[f"{name} 0"] * 1000,
                "operators": operators(path, tensors[name]),
            }
            for name, path in models.items()
        },
    }


def operators(path: Path, tensor: Any) -> dict[str, float]:
    """Return the share of the time of a model by kind of operator, highest first, by ONNX Runtime's profiler."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, f"{folder}/run"
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(RUNS):
            session.run(None, {session.get_inputs()[0].name: tensor})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    whole = sum(spent.values())
    return {name: taken / whole for name, taken in spent.most_common(TOP)}


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _running(session: ort.InferenceSession, tensor: Any) -> Any:
    feed = {session.get_inputs()[0].name: tensor}
    return lambda turn: [timed_ms(lambda: session.run(None, feed)) for _ in range(10)]
