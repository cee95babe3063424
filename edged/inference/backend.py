"""What computes keypoints: the port between the pipeline and the CPU, CUDA and null backends."""

from __future__ import annotations

from typing import Protocol

from edged.frame import Boxes, Frame, InferenceParams, InferenceResult


class PoseBackend(Protocol):
    """Where pixels become keypoints. One thread owns a plane; `see` returns when the work is done.

    `see` measures the image, and stops there when it is degraded. With `detect` it runs the detector, and
    `known` (subjects expected in this frame) helps to keep faint ones, those missed of late (score 0) as hints only;
    without, it takes `known` as it is.
    Then it runs the pose model of each box's class, all subjects of a class in one call.
    It raises `ModelFault` (give up this frame) or `DeviceLost` (exit).
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult: ...
    def close(self) -> None: ...
