"""How the time per frame grows with the number of subjects, the image size and the number of cameras."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from edged.capture.hub import CameraHub
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.config.tables.camera import CameraConfig, TrackConfig
from edged.frame import U8, Frame, FrameResult
from edged.inference.cpu.onnxruntime import OrtSession
from edged.loop import run
from edged.pipeline import Pipeline
from edged.units import NS_PER_MS
from engines.catalogue import load
from tools.bench.contenders import DETECTOR, MIN_SCORE, POSE, EdgedPipeline, cpu_pipeline, model_path
from tools.bench.frames import BenchFrame, Scene
from tools.bench.interleaved import fit_line, round_robin, summary, timed_ms

SUBJECTS = (1, 2, 4, 8, 16)
CAMERAS = (1, 2, 4, 8)
SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
RATE_HZ = 3.0  # per camera: low enough for eight cameras on two slow cores
SETTLE_S = 1.0


def by_subjects(detector: OrtSession, pose: OrtSession, scenes: Sequence[Scene], turns: int) -> dict[str, Any]:
    """Return the time of the whole pipeline on the same frames, by maximum number of subjects."""
    pipelines_by_count = {str(count): cpu_pipeline(detector, pose) for count in SUBJECTS}
    for count, pipeline in pipelines_by_count.items():
        pipeline.set_max_people(int(count))
    blocks = {count: _block(pipeline, scenes) for count, pipeline in pipelines_by_count.items()}
    return _growth_figures(round_robin(blocks, turns))


def by_size(detector: OrtSession, pose: OrtSession, scenes: Sequence[Scene], turns: int) -> dict[str, Any]:
    """Return the time of the whole pipeline on the same frames at several sizes, one subject; slope per megapixel."""
    costs = {}
    for name, size_wh in SIZES.items():
        resized = [_resized(scenes[0], size_wh)]
        costs[f"{size_wh[0] * size_wh[1] / 1e6:.2f}"] = (name, _block(cpu_pipeline(detector, pose), resized))
    figures = _growth_figures(round_robin({key: block for key, (_, block) in costs.items()}, turns))
    return {**figures, "names": {key: name for key, (name, _) in costs.items()}}


def by_cameras(detector: Path, images: Sequence[U8], seconds: float) -> dict[str, Any]:
    """Return the cost of cameras through hub and loop, as in the daemon, each count in a process of its own."""
    context = multiprocessing.get_context("spawn")
    rows = {}
    for count in CAMERAS:
        with context.Pool(1) as pool:
            rows[str(count)] = pool.apply(run_cameras, (detector, list(images), count, seconds))
    cores = {count: row["cores"] for count, row in rows.items()}
    return {"rate_hz": RATE_HZ, "cameras": rows, "cores": fit_line(cores)}


def run_cameras(detector: Path, images: Sequence[U8], count: int, seconds: float) -> dict[str, Any]:
    """Run `count` cameras; return frame counts, cores used, memory, and the age of frames when they are done."""
    cards = load()
    pipeline = cpu_pipeline(OrtSession(cards[DETECTOR], detector), OrtSession(cards[POSE], model_path(POSE)))
    track, scores = TrackConfig(min_hits=1), {"person": MIN_SCORE}
    options = CameraConfig(source="bench", classes=["person"], max_subjects=1, thresholds=scores, track=track)
    names = [f"cam{number}" for number in range(count)]
    late_ms: list[float] = []

    def add_latency(frame: Frame, result: FrameResult) -> None:
        late_ms.append((result.done_ns - frame.captured_ns) / NS_PER_MS)

    cameras = {
        name: (options, ScriptedCamera(_paced(images, SETTLE_S + seconds, at / count))) for at, name in enumerate(names)
    }
    detect, pose = cards[DETECTOR].detect, cards[POSE].pose
    assert detect is not None  # noqa: S101
    assert pose is not None  # noqa: S101
    pipelines = {name: Pipeline(options, pipeline.backend, detect, {"person": pose}, smooth=False) for name in names}
    hub = CameraHub(cameras, lambda state: None, retry=False)
    hub.start()
    start_s, cpu_s = time.perf_counter(), time.process_time()
    run(hub, pipelines, [add_latency], threading.Event())
    wall_s, busy_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    counts = [hub.counts(name) for name in names]
    total = {what: sum(getattr(one, what) for one in counts)
              for what in ("captured", "processed", "dropped", "failed", "waiting")}  # fmt: skip
    hub.close()
    return {
        "frame_counts": total,
        "balanced": all(one.balanced for one in counts),
        "cores": busy_s / wall_s,
        "cpu_ms_per_frame": 1000 * busy_s / max(1, total["processed"]),
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "late_ms": summary(late_ms),
    }


def _paced(images: Sequence[U8], seconds: float, phase: float) -> Iterator[Step]:
    """Yield frames at the rate; cameras have different phases."""
    start_s = time.perf_counter() + phase / RATE_HZ
    for number in range(round(seconds * RATE_HZ)):
        time.sleep(max(0.0, start_s + number / RATE_HZ - time.perf_counter()))
        yield images[number % len(images)]


def _block(pipeline: EdgedPipeline, scenes: Sequence[Scene]) -> Callable[[int], list[float]]:
    def turn(number: int) -> list[float]:
        return [timed_ms(partial(pipeline, frame)) for frame in scenes[number % len(scenes)]]

    return turn


def _resized(scene: Scene, size_wh: tuple[int, int]) -> Scene:
    images = [np.asarray(cv2.resize(frame.bgr, size_wh), np.uint8) for frame in scene[:4]]
    return [BenchFrame(bgr=image, rgb=image, scene=frame.scene) for image, frame in zip(images, scene, strict=False)]


def _growth_figures(times: dict[str, list[float]]) -> dict[str, Any]:
    costs = {key: float(np.median(each)) for key, each in times.items()}
    return {"ms": costs, "p95": {key: float(np.percentile(each, 95)) for key, each in times.items()}, **fit_line(costs)}
