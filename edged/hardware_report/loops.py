"""The whole loop and each model alone, on frames of ours that every model knows: times, and what the host adds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, cycle, islice
from typing import Any

import cv2
import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.errors import EdgedError
from edged.frame import U8, Frame, FrameResult
from edged.hardware_report.probe import Bench, NotPossible, ReportRow, Value, failed, not_possible
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.engine_builder import BuiltEngine, engine_builder
from edged.inference.load_models import load_models, model_cards
from edged.inference.session import Session
from edged.pipeline import Pipeline
from edged.units import NS_PER_MS
from engines.build.service import POSE_BATCHES, BuildJob, EngineBuilder
from engines.card import Card
from engines.catalogue import load
from engines.errors import EngineError
from engines.golden import golden_frames
from engines.store.engine_store import StoredEngine
from engines.store.model_store import ModelStore

SIZE_WH = 1280, 720
WARM_UP, RUNS = 5, 60
MODEL_STAGES = ("detect", "pose")  # stages that are nothing but models

RunFrame = Callable[[U8], FrameResult]


def loops(bench: Bench) -> Iterator[ReportRow]:
    """Every detector that is here with the pose models in use, and every pose model with the detector in use."""
    settings, store = bench.settings, ModelStore(bench.settings.models.store, bench.settings.models.mirror)
    for models in _pairings(settings, store):
        subject = f"{models.detector} + {', '.join(models.pose.values())}"
        try:
            with open_loop(settings.model_copy(update={"models": models})) as run:
                yield ReportRow(subject=subject, figures=measure_loop(run))
        except (EdgedError, EngineError) as exc:
            yield failed(subject, str(exc))


def sessions(bench: Bench) -> Iterator[ReportRow]:
    """Each model in use alone, in every batch size: ONNX Runtime here, and its engine where that can be run."""
    store = ModelStore(bench.settings.models.store, bench.settings.models.mirror)
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


def cards_of(settings: Config) -> list[Card]:
    return list({card.name: card for card in model_cards(settings.models).all}.values())


@contextmanager
def open_loop(settings: Config) -> Iterator[RunFrame]:
    """One camera's pipeline as the daemon has it, an image in, a result out."""
    engines = load_models(settings.models, settings.compute)
    try:
        yield run_frame_with(
            Pipeline(CameraConfig(source="prove"), engines.backend, engines.detector, engines.poses, smooth=False)
        )
    finally:
        engines.backend.close()


def run_frame_with(pipeline: Pipeline) -> RunFrame:
    numbers = count()
    return lambda image: pipeline.run(
        Frame(camera="prove", seq=next(numbers), captured_ns=time.monotonic_ns(), image=image)
    )


def test_images() -> list[U8]:
    """A horse and a person, as large as a camera gives them, swaying by whole pixels so that no two are alike."""
    large = [np.asarray(cv2.resize(frame, SIZE_WH), np.uint8) for frame in golden_frames()]
    return [np.roll(image, shift, axis=1) for image in large for shift in (0, 3, 6, 3)]


def percentiles(times_ms: Sequence[float]) -> dict[str, Value]:
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99))
    return {"ms_p50": round(float(p50), 2), "ms_p95": round(float(p95), 2), "ms_p99": round(float(p99), 2)}


def _pairings(settings: Config, store: ModelStore) -> Iterator[Any]:
    models = settings.models
    yield models
    here = {entry.card.name: entry.card for entry in store.entries(load(models.catalogue).values()) if entry.bytes}
    for card in here.values():
        if card.task == "detect" and card.name != models.detector:
            yield models.model_copy(update={"detector": card.name})
        elif card.pose is not None and card.name not in models.pose.values():
            label = "horse" if card.pose.schema_name.startswith("ap10k") else "person"
            yield models.model_copy(update={"pose": {label: card.name}})


def measure_loop(run: RunFrame) -> dict[str, Value]:
    images = cycle(test_images())
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
        "frames_per_s": round(1000 * len(times_ms) / sum(times_ms), 1),
        "loop_per_models": None if np.isnan(ratios).all() else round(float(np.nanmedian(ratios)), 3),
        "subjects_per_frame": round(subjects / RUNS, 2),
    }


def _time_by_batch(session: Session, card: Card) -> dict[str, Value]:
    """Medians, in ms, by batch size."""
    width, height = card.input.size_wh
    sizes = (1,) if card.pose is None else POSE_BATCHES
    figures: dict[str, Value] = {}
    for size in sizes:
        tensor = np.zeros((size, 3, height, width), np.float32)
        times_ms = []
        for turn in range(WARM_UP + RUNS // size):
            begun_ns = time.perf_counter_ns()
            session.run(tensor)
            if turn >= WARM_UP:
                times_ms.append((time.perf_counter_ns() - begun_ns) / NS_PER_MS)
        figures[f"ms_p50_batch_{size}"] = round(float(np.median(times_ms)), 2)
    return figures


def build_job(bench: Bench, foundry: EngineBuilder, card: Card) -> BuildJob:
    settings = bench.settings
    file = ModelStore(settings.models.store, settings.models.mirror).path(card)
    return foundry.job(
        card, file, level=settings.engines.optimization_level, workspace_mb=settings.engines.workspace_mb
    )


def built_engine(bench: Bench, card: Card) -> tuple[BuildJob, StoredEngine]:
    """The engine that an earlier probe has built. Raises Impossible."""
    foundry = open_builder(bench)
    job = build_job(bench, foundry, card)
    plan, why = foundry.usable(job)
    if plan is None:
        raise NotPossible(f"{card.name}: {why}")
    return job, plan


def open_builder(bench: Bench) -> EngineBuilder:
    """With a store of its own, so that everything is built anew. Raises Impossible."""
    try:
        return engine_builder(bench.folder, bench.flavour)
    except EngineError as exc:
        raise NotPossible(str(exc)) from exc
