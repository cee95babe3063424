"""Models: engine builds and self-tests, each model alone, the whole loop, and the CUDA backend against the CPU's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count, cycle, islice
from typing import cast

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.config.tables.models import ModelsConfig
from edged.config.tree import Config
from edged.device.sysfs import SysfsSensors
from edged.errors import EdgedError
from edged.frame import U8, XY, Frame, FrameResult
from edged.hardware_report.probe import Bench, NotPossible, ReportRow, Sampling, Value, failed, not_possible
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cuda.open import open_backend, unavailable_reason
from edged.inference.engine_builder import BuiltEngine, engine_builder
from edged.inference.load_models import load_models
from edged.inference.model_cards import model_cards
from edged.inference.session import Session
from edged.pipeline import Pipeline
from edged.units import BYTES_PER_MB, MS_PER_S, NS_PER_MS
from engines import machine
from engines.build.process import available_mb
from engines.build.service import BuildJob, EngineBuilder
from engines.card import Card, Pose
from engines.catalogue import load
from engines.errors import EngineError
from engines.golden import golden_frames
from engines.store.engine_store import StoredEngine
from engines.store.model_store import ModelStore

ENLARGED = 4  # golden frames are 320 x 180 px, these images 1280 x 720
WARM_UP, RUNS = 5, 60
MODEL_STAGES = ("detect", "pose")  # stages of the loop that only run a model
MEMORY_PERIOD_S = 0.2
FRAME_INTERVAL_NS = 33 * NS_PER_MS  # of the images, for the tracker
PARITY_PX = 0.5  # largest distance of a CUDA keypoint from the CPU's, for 99 of 100

RunFrame = Callable[[U8], FrameResult]


def builds(bench: Bench) -> Iterator[ReportRow]:
    """The build of an engine for every model in use: its time and its peak memory."""
    builder = open_builder(bench)
    for card in cards_of(bench.settings):
        job = build_job(bench, builder, card)
        memory = MemoryExtremes()
        try:
            with Sampling(memory.sample, MEMORY_PERIOD_S):
                engine = builder.build(job, lambda progress: None, threading.Event())
        except EngineError as exc:
            yield failed(card.name, str(exc))
            continue
        drift = {f"drift_{name}": value for name, value in engine.meta["drift"].items() if value is not None}
        yield ReportRow(
            subject=card.name,
            figures={
                "tensorrt": f"{job.key.tensorrt} ({job.key.flavour})",
                "level": job.options.level,
                "prepare_s": engine.meta["prepare_s"],
                "build_s": engine.meta["seconds"],
                "engine_mb": round(engine.meta["bytes"] / BYTES_PER_MB, 1),
                "peak_rss_mb": engine.meta["peak_rss_mb"],
                "gpu_memory_max_mb": memory.gpu_max_mb,
                "memory_free_before_mb": memory.free_before_mb,
                "memory_free_min_mb": memory.free_min_mb,
                "precision": job.model.precision,
                **drift,
            },
        )


class MemoryExtremes:
    """Extremes of the memory during a build. A Jetson's GPU memory is the host's and is in no process's RSS."""

    def __init__(self) -> None:
        self.free_before_mb = self.free_min_mb = available_mb()
        self.gpu_max_mb: int | None = None
        self._sensors = SysfsSensors()

    def sample(self) -> None:
        self.free_min_mb = min(self.free_min_mb, available_mb())
        if (used_mb := self._sensors.gpu_memory_mb()) is not None:
            self.gpu_max_mb = max(self.gpu_max_mb or 0, used_mb)


def selftests(bench: Bench) -> Iterator[ReportRow]:
    """The self-test of every engine that this report built: golden frames against FP32, at every batch size."""
    builder = open_builder(bench)
    for card in cards_of(bench.settings):
        job = build_job(bench, builder, card)
        if builder.plans.find(card.name, job.key) is None:
            yield not_possible(card.name, "no engine was built by this report")
        elif bench.flavour != "tensorrt" or machine.detect().gpu is None:
            yield not_possible(card.name, "nothing on this machine runs a TensorRT engine")
        else:
            engine, why = builder.usable(job)
            if engine is None or engine.proof is None:
                yield failed(card.name, why)
            else:
                yield ReportRow(subject=card.name, figures={name: str(value) for name, value in engine.proof.items()})


def sessions(bench: Bench) -> Iterator[ReportRow]:
    """Each model in use alone, at every batch size: on ONNX Runtime, and as an engine where that can run."""
    store = _store(bench.settings)
    for card in cards_of(bench.settings):
        session = OrtSession(card, store.path(card), bench.settings.compute.threads)
        yield ReportRow(subject=f"{card.name} on ONNX Runtime", figures=_time_by_batch(session, card))
        try:
            engine = BuiltEngine(*built_engine(bench, card)).session()
        except NotPossible as why:
            yield not_possible(f"{card.name} as an engine", str(why))
            continue
        yield ReportRow(subject=f"{card.name} as an engine", figures=_time_by_batch(engine, card))
        engine.close()


def _time_by_batch(session: Session, card: Card) -> dict[str, Value]:
    """Median time in ms by batch size."""
    width, height = card.input.size_wh
    figures: dict[str, Value] = {}
    for size in card.batches:
        tensor = np.zeros((size, 3, height, width), np.float32)
        times_ms = []
        for run in range(WARM_UP + RUNS // size):
            begun_ns = time.perf_counter_ns()
            session.run(tensor)
            if run >= WARM_UP:
                times_ms.append((time.perf_counter_ns() - begun_ns) / NS_PER_MS)
        figures[f"ms_p50_batch_{size}"] = round(float(np.median(times_ms)), 2)
    return figures


def loops(bench: Bench) -> Iterator[ReportRow]:
    """The whole loop with the models in use, and with every other detector and pose model in the store."""
    settings = bench.settings
    for models in _combinations(settings.models, _store(settings)):
        subject = f"{models.detector} + {', '.join(models.pose.values())}"
        try:
            with open_loop(settings.model_copy(update={"models": models})) as run:
                yield ReportRow(subject=subject, figures=measure_loop(run))
        except (EdgedError, EngineError) as exc:
            yield failed(subject, str(exc))


def _combinations(models: ModelsConfig, store: ModelStore) -> Iterator[ModelsConfig]:
    yield models
    stored = {entry.card.name: entry.card for entry in store.entries(load(models.catalogue).values()) if entry.bytes}
    for card in stored.values():
        if card.task == "detect" and card.name != models.detector:
            yield models.model_copy(update={"detector": card.name})
        elif card.pose is not None and card.name not in models.pose.values():
            label = "horse" if card.pose.schema_name.startswith("ap10k") else "person"
            yield models.model_copy(update={"pose": {label: card.name}})


def measure_loop(run: RunFrame) -> dict[str, Value]:
    """Times of a frame in ms, and their ratio to the models' own time."""
    images = cycle(sample_images())
    for image in islice(images, WARM_UP):
        run(image)
    times_ms, ratios, subjects = [], [], 0
    for image in islice(images, RUNS):
        begun_ns = time.perf_counter_ns()
        result = run(image)
        took_ns = time.perf_counter_ns() - begun_ns
        models_ns = sum(result.stage_ns.get(stage, 0) for stage in MODEL_STAGES)
        times_ms.append(took_ns / NS_PER_MS)
        ratios.append(took_ns / models_ns if models_ns else np.nan)
        subjects += len(result.subjects)
    return {
        **percentiles(times_ms),
        "frames_per_s": round(MS_PER_S * len(times_ms) / sum(times_ms), 1),
        "loop_per_models": None if np.isnan(ratios).all() else round(float(np.nanmedian(ratios)), 3),
        "subjects_per_frame": round(subjects / RUNS, 2),
    }


def percentiles(times_ms: Sequence[float]) -> dict[str, Value]:
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99))
    return {"ms_p50": round(float(p50), 2), "ms_p95": round(float(p95), 2), "ms_p99": round(float(p99), 2)}


def cuda_backend(bench: Bench) -> Iterator[ReportRow]:
    """The loop on the CUDA backend, with and without graphs, and its keypoints against the CPU backend's."""
    if reason := unavailable_reason():
        yield not_possible("CUDA backend", reason)
        return
    cards = model_cards(bench.settings.models)
    engines = {card.name: BuiltEngine(*built_engine(bench, card)) for card in (cards.detector, *cards.poses.values())}
    factories = {label: engines[card.name].engine for label, card in cards.poses.items()}
    poses = {label: cast(Pose, card.pose) for label, card in cards.poses.items()}
    for graphs in (True, False):
        with closing(open_backend(engines[cards.detector.name].engine, factories, graphs=graphs)) as backend:
            run = run_frame_with(Pipeline(_camera(), backend, cards.detect, poses, smooth=False))
            figures = {"frame_access": backend.frame_access, "uses_graphs": backend.uses_graphs, **measure_loop(run)}
            yield ReportRow(subject="with graphs" if graphs else "without graphs", figures=figures)
            if graphs:
                yield compare_with_cpu(bench, run)


def compare_with_cpu(bench: Bench, run: RunFrame) -> ReportRow:
    """Distances of the keypoints of `run` from the CPU backend's, on the same images."""
    distances_px: list[float] = []
    unmatched = 0
    cpu = bench.settings.model_copy(update={"compute": bench.settings.compute.model_copy(update={"backend": "cpu"})})
    with open_loop(cpu) as reference:
        for image in sample_images():
            distances, of_one_only = _keypoint_distances_px(run(image), reference(image))
            distances_px += distances
            unmatched += of_one_only
    subject = "against the CPU backend"
    if not distances_px:
        return failed(subject, "neither found a subject", subjects_of_one_only=unmatched)
    p99_px = float(np.percentile(distances_px, 99))
    figures: dict[str, Value] = {"px_p50": round(float(np.median(distances_px)), 3), "px_p99": round(p99_px, 3)}
    figures |= {"keypoints": len(distances_px), "subjects_of_one_only": unmatched}
    if p99_px > PARITY_PX:
        return failed(subject, f"want {PARITY_PX} px for 99 of 100", **figures)
    return ReportRow(subject=subject, figures=figures)


def _keypoint_distances_px(one: FrameResult, other: FrameResult) -> tuple[list[float], int]:
    """Distances in px of the keypoints of the subjects in both results, and how many subjects are in one only."""
    other_by_id = {subject.id: subject for subject in other.subjects}
    distances_px: list[float] = []
    matched = 0
    for subject in one.subjects:
        match = other_by_id.get(subject.id)
        matched += match is not None
        if match is not None and subject.keypoints is not None and match.keypoints is not None:
            distance = np.linalg.norm(subject.keypoints[:, XY] - match.keypoints[:, XY], axis=1)
            distances_px += distance[np.isfinite(distance)].tolist()
    return distances_px, len(one.subjects) + len(other.subjects) - 2 * matched


@contextmanager
def open_loop(settings: Config) -> Iterator[RunFrame]:
    """One camera's pipeline as the daemon runs it: takes an (H, W, 3) uint8 BGR image, returns its result."""
    models = load_models(settings.models, settings.compute)
    with closing(models.backend):
        yield run_frame_with(Pipeline(_camera(), models.backend, models.detector, models.poses, smooth=False))


def run_frame_with(pipeline: Pipeline) -> RunFrame:
    """Frames of a recording: a slow run tracks the same subjects as a fast one."""
    numbers = count()

    def run(image: U8) -> FrameResult:
        seq = next(numbers)
        recorded_ns = seq * FRAME_INTERVAL_NS
        return pipeline.run(
            Frame(camera="report", seq=seq, captured_ns=time.monotonic_ns(), recorded_ns=recorded_ns, image=image)
        )

    return run


def _camera() -> CameraConfig:
    return CameraConfig(source="report")


def sample_images() -> list[U8]:
    """(720, 1280, 3) uint8 BGR: a horse and a person, shifted by whole pixels so that consecutive ones differ."""
    large = [frame.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for frame in golden_frames()]
    return [np.roll(image, shift, axis=1) for image in large for shift in (0, 3, 6, 3)]


def cards_of(settings: Config) -> list[Card]:
    """The cards of the models in use, each once."""
    return list({card.name: card for card in model_cards(settings.models_in_use).all}.values())


def build_job(bench: Bench, builder: EngineBuilder, card: Card) -> BuildJob:
    options = bench.settings.engines
    file = _store(bench.settings).path(card)
    return builder.job(card, file, level=options.optimization_level, workspace_mb=options.workspace_mb)


def built_engine(bench: Bench, card: Card) -> tuple[BuildJob, StoredEngine]:
    """The engine that an earlier probe has built. Raises NotPossible."""
    builder = open_builder(bench)
    job = build_job(bench, builder, card)
    engine, why = builder.usable(job)
    if engine is None:
        raise NotPossible(f"{card.name}: {why}")
    return job, engine


def open_builder(bench: Bench) -> EngineBuilder:
    """A builder with an empty store, so that every engine is built again. Raises NotPossible."""
    try:
        return engine_builder(bench.folder, bench.flavour)
    except EngineError as exc:
        raise NotPossible(str(exc)) from exc


def _store(settings: Config) -> ModelStore:
    return ModelStore(settings.models.store, settings.models.mirror)
