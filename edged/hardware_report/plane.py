"""The CUDA plane with the engines that were just built: what a frame costs, what graphs gain, that it sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.frame import XY, FrameResult
from edged.hardware_report.loops import RunFrame, built_engine, measure_loop, open_loop, run_frame_with, test_images
from edged.hardware_report.probe import Bench, ReportRow, Value, failed, not_possible
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.open import open_backend, unavailable_reason
from edged.inference.engine_builder import BuiltEngine
from edged.inference.load_models import model_cards
from edged.pipeline import Pipeline
from engines.card import Detect, Pose

PARITY_PX = 0.5  # that a keypoint may be from the CPU plane's, for 99 of 100


def cuda_backend(bench: Bench) -> Iterator[ReportRow]:
    if lack := unavailable_reason():
        yield not_possible("CUDA plane", lack)
        return
    used = model_cards(bench.settings.models)
    forged = {card.name: BuiltEngine(*built_engine(bench, card)) for card in (used.detector, *used.poses.values())}
    poses = {label: cast(Pose, card.pose) for label, card in used.poses.items()}
    for graphs in (True, False):
        makers = {label: forged[card.name].engine for label, card in used.poses.items()}
        with closing(open_backend(forged[used.detector.name].engine, makers, graphs=graphs)) as made:
            pipeline = Pipeline(
                CameraConfig(source="prove"), made, cast(Detect, used.detector.detect), poses, smooth=False
            )
            run = run_frame_with(pipeline)
            figures = measure_loop(run)
            yield ReportRow(
                subject="with graphs" if graphs else "without graphs", figures={**_graph_figures(made), **figures}
            )
            if graphs:
                yield compare_with_cpu(bench, run)


def _graph_figures(made: CudaBackend) -> dict[str, Value]:
    return {"frames": made.frame_access, "captured": made.uses_graphs}


def compare_with_cpu(bench: Bench, run: RunFrame) -> ReportRow:
    """Every keypoint both planes are sure of, on the same pictures."""
    apart: list[float] = []
    alone = 0
    cpu = bench.settings.model_copy(update={"compute": bench.settings.compute.model_copy(update={"backend": "cpu"})})
    with open_loop(cpu) as reference:
        for picture in test_images():
            distances, missed = _keypoint_distances_px(run(picture), reference(picture))
            apart += distances
            alone += missed
    if not apart:
        return failed("beside the CPU plane", "neither saw anybody", seen_by_one_only=alone)
    p99 = float(np.percentile(apart, 99))
    figures: dict[str, Value] = {"px_p50": round(float(np.median(apart)), 3), "px_p99": round(p99, 3)}
    figures |= {"keypoints": len(apart), "seen_by_one_only": alone}
    if p99 > PARITY_PX:
        return failed("beside the CPU plane", f"want {PARITY_PX} px for 99 of 100", **figures)
    return ReportRow(subject="beside the CPU plane", figures=figures)


def _keypoint_distances_px(one: FrameResult, other: FrameResult) -> tuple[list[float], int]:
    """Distances of the keypoints of subjects that both have, in px, and how many subjects one has alone."""
    theirs = {subject.id: subject for subject in other.subjects}
    apart: list[float] = []
    for subject in one.subjects:
        twin = theirs.get(subject.id)
        if twin is not None and subject.keypoints is not None and twin.keypoints is not None:
            distance = np.linalg.norm(subject.keypoints[:, XY] - twin.keypoints[:, XY], axis=1)
            apart += distance[np.isfinite(distance)].tolist()
    both = {subject.id for subject in one.subjects} & {subject.id for subject in other.subjects}
    return apart, len(one.subjects) + len(other.subjects) - 2 * len(both)
