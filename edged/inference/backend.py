"""The port between the pipeline and whatever computes keypoints: the CPU, the CUDA and the null backend."""

from __future__ import annotations

from typing import Protocol

from edged.frame import Boxes, Frame, InferenceParams, InferenceResult


class PoseBackend(Protocol):
    """Turns a frame into boxes and keypoints.

    `infer` measures the image and stops there when it is degraded. With `detect` it runs the detector, and
    `priors` (subjects expected in this frame) help to keep faint ones, those missed of late (score 0) as hints only;
    without `detect` it takes `priors` as the boxes. Then it runs the pose model of each box's class, all subjects of
    a class in one batch. It returns when the work is done.
    Raises `ModelFault` (give up this frame) or `DeviceLost` (exit). Thread: the one that made the backend.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult: ...
    def close(self) -> None: ...
