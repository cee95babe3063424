"""Real TensorRT builds every model of this machine without a GPU: prepared, parsed, typed, built, stored."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.bindings import find
from engines.errors import BuildFailed, Cancelled, NoTensorRT

try:
    find("tensorrt-rtx")
except NoTensorRT as absent:
    pytest.skip(str(absent), allow_module_level=True)

from edged.inference.engine_builder import engine_builder
from edged.inference.engine_builds import EngineBuildService
from engines.build.process import explain_exit
from engines.build.service import BuildJob, EngineBuilder
from engines.catalogue import load
from engines.store.engine_store import MAX_ATTEMPTS
from engines.store.model_store import ModelStore
from tests.support.int8 import with_int8
from tests.support.small_nets import written

CARDS = load(None)
BUNDLED = [name for name, card in CARDS.items() if card.source.bundled]
START_EVERY = 4  # kills
KILLS = int(os.environ.get("KILLS", "12"))  # 200 for the long run
LIMIT_S = 120
TOO_LITTLE_MB = 450  # TensorRT-RTX 1.7 starts with 350 and builds no model of ours with 750


def never(progress: Any) -> None:
    """Ignores the progress."""


def job_of(foundry: EngineBuilder, name: str, folder: Path, **options: Any) -> BuildJob:
    card = CARDS[name]
    return foundry.job(card, ModelStore(folder).path(card), **{"level": 3, "workspace_mb": 512, **options})


@pytest.fixture
def foundry(tmp_path: Path) -> EngineBuilder:
    return engine_builder(tmp_path, "tensorrt-rtx")


@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, "fp16") for name in BUNDLED), ("det-person-horse", "fp32"), ("rtmpose-t-coco17", "fp32")],
)
def test_bundled_model_builds_with_fp16_like_fp32(
    foundry: EngineBuilder, tmp_path: Path, name: str, precision: str
) -> None:
    shares: list[float] = []
    job = job_of(foundry, name, tmp_path, precision=precision)
    plan = foundry.build(job, lambda progress: shares.append(progress.share), threading.Event())
    assert len(plan.read()) > 1_000_000
    assert shares == sorted(shares)
    assert (plan.is_verified, foundry.plans.current(name)) == (False, None)
    assert foundry.usable(job)[0] is None


def test_int8_builds_with_tensorrt_and_its_drift_is_kept(foundry: EngineBuilder, tmp_path: Path) -> None:
    card = CARDS["rtmpose-t-lsp14"]
    file = ModelStore(tmp_path).path(card)
    job = foundry.job(with_int8(card, file.read_bytes()), file, level=0, workspace_mb=512, precision="int8")
    plan = foundry.build(job, never, threading.Event())
    assert (plan.key.precision, job.model.inputs[0].dtype) == ("int8", "float32")
    assert len(plan.read()) > 1_000_000
    assert plan.meta["drift"]["compared"] > 0
    assert any("precision" in line for line in foundry.explain(job_of(foundry, card.name, tmp_path)))


@pytest.mark.parametrize(
    ("name", "exported", "batches"),
    [
        ("convnextpose-s", "batch", (1, 2, 4)),
        ("convnextpose-s", 1, ()),  # by an exporter that fixed it
        ("integral-r152", "batch", ()),  # whose volumes are large
        ("rootnet", "batch", (1, 2, 4)),
    ],
)
def test_3d_model_builds_for_as_many_people_as_its_file_takes(
    foundry: EngineBuilder, tmp_path: Path, name: str, exported: int | str, batches: tuple[int, ...]
) -> None:
    job = foundry.job(CARDS[name], written(CARDS[name], tmp_path, exported), level=0, workspace_mb=512)
    assert job.options.profiles == tuple((n, n, n) for n in batches)
    first = {tensor.shape[0] for tensor in (*job.model.inputs, *job.model.outputs)}
    assert first == ({None} if batches else {1})
    plan = foundry.build(job, never, threading.Event())
    assert len(plan.read()) > 1000
    drift = plan.meta["drift"]
    assert (drift["max_shift_mm"] or 0) <= 1
    assert (drift["max_depth_diff"] or 0) <= 0.005


def test_changed_tensorrt_is_explained_and_rebuilt(foundry: EngineBuilder, tmp_path: Path) -> None:
    job = job_of(foundry, "det-person-horse", tmp_path)
    foundry.build(job, never, threading.Event())
    newer = replace(job, key=replace(job.key, tensorrt="99.0", gpu="Thor"))
    assert [text.split(":")[0] for text in foundry.explain(newer)] == ["tensorrt", "gpu"]
    assert foundry.usable(newer)[0] is None
    foundry.build(newer, never, threading.Event())
    assert len(foundry.plans.engines("det-person-horse")) == 2


def test_changed_byte_quarantines_engine(foundry: EngineBuilder, tmp_path: Path) -> None:
    job = job_of(foundry, "det-person-horse", tmp_path)
    file = foundry.build(job, never, threading.Event()).folder / "engine.plan"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert "not the ones stored" in foundry.usable(job)[1]
    assert foundry.plans.find("det-person-horse", job.key) is None


def test_stopped_build_costs_no_attempt(foundry: EngineBuilder, tmp_path: Path) -> None:
    stop = threading.Event()
    job = job_of(foundry, "rtmpose-t-coco17", tmp_path)
    with pytest.raises(Cancelled):
        foundry.build(job, lambda progress: stop.set(), stop)
    assert foundry.plans.attempts("rtmpose-t-coco17", job.key) == 0


def test_too_little_memory_is_named_and_attempts_end(tmp_path: Path) -> None:
    foundry = engine_builder(tmp_path, "tensorrt-rtx", memory_mb=TOO_LITTLE_MB)
    job = job_of(foundry, "rtmpose-t-coco17", tmp_path)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(BuildFailed, match=r"ran out of memory.*add swap, or lower engines\.workspace_mb"):
            foundry.build(job, never, threading.Event())
    with pytest.raises(BuildFailed, match=f"{MAX_ATTEMPTS} attempts failed"):
        foundry.build(job, never, threading.Event())


def test_build_without_memory_offers_no_engine_and_keeps_reason(tmp_path: Path) -> None:
    ready: list[BuildJob] = []
    name = "rtmpose-t-coco17"
    files = {name: (CARDS[name], ModelStore(tmp_path).path(CARDS[name]))}
    service = EngineBuildService(
        engine_builder(tmp_path, "tensorrt-rtx", memory_mb=TOO_LITTLE_MB),
        files,
        levels=(0, 3),
        workspace_mb=512,
    )
    service.start(lambda job, plan: ready.append(job))
    assert service.join(LIMIT_S)
    service.close()
    assert (service.statuses[name].phase, ready) == ("failed", [])
    assert "ran out of memory" in service.statuses[name].reason


def test_build_killed_by_kernel_is_explained() -> None:
    assert "killed, most likely by the kernel for memory; 123 MB were free" in explain_exit(-signal.SIGKILL, [], 123)


def test_build_whose_library_cannot_be_loaded_for_memory_is_explained() -> None:
    said = ["Traceback", "OSError: libtensorrt_rtx.so.1: failed to map segment from shared object"]
    assert "ran out of memory" in explain_exit(1, said, 123)


def command(store: Path) -> list[str]:
    names = ["det-person-horse"]
    options = ["--store", str(store), "--tensorrt", "tensorrt-rtx"]
    return [sys.executable, "-m", "edged", "engines", "build", *names, *options]


def test_store_is_whole_after_kill_at_any_instant(foundry: EngineBuilder, tmp_path: Path) -> None:
    rng, hit = random.Random(7), 0
    job = job_of(foundry, "det-person-horse", tmp_path)
    deadline_s = time.monotonic() + LIMIT_S + 10 * KILLS
    while hit < KILLS:
        assert time.monotonic() < deadline_s, f"only {hit} builds were under way when they were killed"
        build = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.1, 3))
        under_way = build.poll() is None
        build.kill()
        build.wait()
        foundry.plans.forget("det-person-horse", job.key)  # it was the test's doing
        assert all(made.read() for made in foundry.plans.engines("det-person-horse")), "whole, or not there at all"
        hit += under_way
        if under_way and hit % START_EVERY == 0:
            _starts(foundry, job, tmp_path)
        if plan := foundry.plans.find("det-person-horse", job.key):
            shutil.rmtree(plan.folder)  # so that there is something to build again


def _starts(foundry: EngineBuilder, job: BuildJob, store: Path) -> None:
    done = subprocess.run(command(store), capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    plan = foundry.plans.find("det-person-horse", job.key)
    assert plan is not None
    assert plan.read()


def test_terminated_build_leaves_whole_store(foundry: EngineBuilder, tmp_path: Path) -> None:
    job = job_of(foundry, "det-person-horse", tmp_path)
    build = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + LIMIT_S
    while not foundry.plans.attempts(job.card.name, job.key) and build.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    build.terminate()
    _, output = build.communicate(timeout=LIMIT_S)
    assert build.returncode in (0, 1), output
    assert all(plan.read() for plan in foundry.plans.engines("det-person-horse"))
