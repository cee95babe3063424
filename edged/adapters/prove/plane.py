"""The CUDA plane with the engines that were just built: what a frame costs, what graphs gain, that it sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import numpy as np

from edged.adapters.cuda.opening import missing, opened
from edged.adapters.cuda.plane import CudaPlane
from edged.adapters.foundry import Forged
from edged.adapters.planes import cards_in_use
from edged.adapters.prove.loops import Run, engine_of, figures_of, loop_of, pictures, run_of
from edged.adapters.prove.probe import Bench, Row, Value, failed, impossible
from edged.config import Camera
from edged.frame import XY, Result
from edged.pipeline import Pipeline
from engines.card import Detect, Pose

PARITY_PX = 0.5  # that a keypoint may be from the CPU plane's, for 99 of 100


def plane(bench: Bench) -> Iterator[Row]:
    if lack := missing():
        yield impossible("CUDA plane", lack)
        return
    used = cards_in_use(bench.settings.models)
    forged = {card.name: Forged(*engine_of(bench, card)) for card in (used.detector, *used.poses.values())}
    poses = {label: cast(Pose, card.pose) for label, card in used.poses.items()}
    for graphs in (True, False):
        makers = {label: forged[card.name].engine for label, card in used.poses.items()}
        with closing(opened(forged[used.detector.name].engine, makers, graphs=graphs)) as made:
            pipeline = Pipeline(Camera(source="prove"), made, cast(Detect, used.detector.detect), poses, smooth=False)
            run = run_of(pipeline)
            figures = figures_of(run)
            yield Row(subject="with graphs" if graphs else "without graphs", figures={**_how(made), **figures})
            if graphs:
                yield compared(bench, run)


def _how(made: CudaPlane) -> dict[str, Value]:
    return {"frames": made.frames, "captured": made.captured}


def compared(bench: Bench, run: Run) -> Row:
    """Every keypoint both planes are sure of, on the same pictures."""
    apart: list[float] = []
    alone = 0
    cpu = bench.settings.model_copy(update={"compute": bench.settings.compute.model_copy(update={"plane": "cpu"})})
    with loop_of(cpu) as reference:
        for picture in pictures():
            distances, missed = _apart(run(picture), reference(picture))
            apart += distances
            alone += missed
    if not apart:
        return failed("beside the CPU plane", "neither saw anybody", seen_by_one_only=alone)
    p99 = float(np.percentile(apart, 99))
    figures: dict[str, Value] = {"px_p50": round(float(np.median(apart)), 3), "px_p99": round(p99, 3)}
    figures |= {"keypoints": len(apart), "seen_by_one_only": alone}
    if p99 > PARITY_PX:
        return failed("beside the CPU plane", f"want {PARITY_PX} px for 99 of 100", **figures)
    return Row(subject="beside the CPU plane", figures=figures)


def _apart(one: Result, other: Result) -> tuple[list[float], int]:
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
