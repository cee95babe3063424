"""How the cost of a frame grows: with the subjects posed in it, with its size, and with the cameras."""

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
from tools.bench.contenders import DETECTOR, POSE, SCORE, Ours, on_cpu, path_of
from tools.bench.frames import Scene, Shown
from tools.bench.turns import by_turns, line, summary, timed_ms

SUBJECTS = (1, 2, 4, 8, 16)
CAMERAS = (1, 2, 4, 8)
SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
RATE_HZ = 3.0  # of each camera: eight leave two slow cores time to spare
SETTLE_S = 1.0


def by_subjects(detector: OrtSession, pose: OrtSession, scenes: Sequence[Scene], turns: int) -> dict[str, Any]:
    """The whole pipeline on the same frames, the best so many posed."""
    posing = {str(count): on_cpu(detector, pose) for count in SUBJECTS}
    for count, ours in posing.items():
        ours.limit(int(count))
    blocks = {count: _block(ours, scenes) for count, ours in posing.items()}
    return _grown(by_turns(blocks, turns))


def by_size(detector: OrtSession, pose: OrtSession, scenes: Sequence[Scene], turns: int) -> dict[str, Any]:
    """The whole pipeline on the same frames at several sizes, one subject; the slope is per megapixel."""
    costs = {}
    for name, size_wh in SIZES.items():
        grown = [_resized(scenes[0], size_wh)]
        costs[f"{size_wh[0] * size_wh[1] / 1e6:.2f}"] = (name, _block(on_cpu(detector, pose), grown))
    figures = _grown(by_turns({key: block for key, (_, block) in costs.items()}, turns))
    return {**figures, "names": {key: name for key, (name, _) in costs.items()}}


def by_cameras(detector: Path, images: Sequence[U8], seconds: float) -> dict[str, Any]:
    """Cameras through the intake and the loop, as in the daemon, in a process with nothing else in it."""
    context = multiprocessing.get_context("spawn")
    rows = {}
    for count in CAMERAS:
        with context.Pool(1) as pool:
            rows[str(count)] = pool.apply(watched, (detector, list(images), count, seconds))
    cores = {count: row["cores"] for count, row in rows.items()}
    return {"rate_hz": RATE_HZ, "cameras": rows, "cores": line(cores)}


def watched(detector: Path, images: Sequence[U8], count: int, seconds: float) -> dict[str, Any]:
    """So many cameras for so long: the ledger, cores in use, memory, and how old a frame is when it is done."""
    cards = load()
    ours = on_cpu(OrtSession(cards[DETECTOR], detector), OrtSession(cards[POSE], path_of(POSE)))
    options = CameraConfig(
        source="bench", classes=["person"], max_subjects=1, thresholds={"person": SCORE}, track=TrackConfig(min_hits=1)
    )
    names = [f"cam{number}" for number in range(count)]
    late_ms: list[float] = []

    def note(frame: Frame, result: FrameResult) -> None:
        late_ms.append((result.done_ns - frame.captured_ns) / NS_PER_MS)

    paced = {
        name: (options, ScriptedCamera(_paced(images, SETTLE_S + seconds, at / count))) for at, name in enumerate(names)
    }
    detect, pose = cards[DETECTOR].detect, cards[POSE].pose
    assert detect is not None  # noqa: S101
    assert pose is not None  # noqa: S101
    pipelines = {name: Pipeline(options, ours.backend, detect, {"person": pose}, smooth=False) for name in names}
    intake = CameraHub(paced, lambda state: None, retry=False)
    intake.start()
    start_s, cpu_s = time.perf_counter(), time.process_time()
    run(intake, pipelines, [note], threading.Event())
    wall_s, busy_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    books = [intake.counts(name) for name in names]
    ledger = {what: sum(getattr(book, what) for book in books)
              for what in ("captured", "processed", "dropped", "failed", "waiting")}  # fmt: skip
    intake.close()
    return {
        "ledger": ledger,
        "balanced": all(book.balanced for book in books),
        "cores": busy_s / wall_s,
        "cpu_ms_per_frame": 1000 * busy_s / max(1, ledger["processed"]),
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "late_ms": summary(late_ms),
    }


def _paced(images: Sequence[U8], seconds: float, phase: float) -> Iterator[Step]:
    """Frames at the rate; cameras are out of step."""
    start_s = time.perf_counter() + phase / RATE_HZ
    for number in range(round(seconds * RATE_HZ)):
        time.sleep(max(0.0, start_s + number / RATE_HZ - time.perf_counter()))
        yield images[number % len(images)]


def _block(ours: Ours, scenes: Sequence[Scene]) -> Callable[[int], list[float]]:
    def turn(number: int) -> list[float]:
        return [timed_ms(partial(ours, shown)) for shown in scenes[number % len(scenes)]]

    return turn


def _resized(scene: Scene, size_wh: tuple[int, int]) -> Scene:
    images = [np.asarray(cv2.resize(shown.bgr, size_wh), np.uint8) for shown in scene[:4]]
    return [Shown(bgr=image, rgb=image, scene=shown.scene) for image, shown in zip(images, scene, strict=False)]


def _grown(times: dict[str, list[float]]) -> dict[str, Any]:
    costs = {key: float(np.median(each)) for key, each in times.items()}
    return {"ms": costs, "p95": {key: float(np.percentile(each, 95)) for key, each in times.items()}, **line(costs)}
