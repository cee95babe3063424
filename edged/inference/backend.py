"""The port between the pipeline and whatever computes keypoints: the CPU, the CUDA and the null backend."""

from __future__ import annotations

from typing import Protocol

from edged.frame import Boxes, Frame, InferenceParams, InferenceResult


class PoseBackend(Protocol):
    """Turns a frame into boxes and keypoints.

    `infer` measures the image and stops there when it is degraded. With `detect` it runs the detector and returns
    candidates above one low threshold (`select.py`); the tracker decides which of them are shown. Without `detect` the
    boxes are `priors`: where the tracker expects its subjects in this frame. Then it runs the pose model of each box's
    class, all subjects of a class in one batch. It returns when the work is done.
    Raises `ModelFault` (give up this frame) or `DeviceLost` (exit). Thread: the one that made the backend.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult: ...
    def close(self) -> None: ...
