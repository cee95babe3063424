"""Volume heads (ConvNeXtPose, MobileHumanPose, Integral, PoseNet): one distribution over a volume per joint."""

from __future__ import annotations

import numpy as np

from edged.frame import F32


def soft_argmax(volume: F32, joints: int) -> F32:
    """Joints (N, J, 3) float32 x, y, z in bins, counted from 0, of (N, J·D, H, W) activations.

    The channel of joint j at depth d is j·D + d. The mean of the softmax over the joint's whole volume; NaN only if
    an activation is NaN, or all are infinite. Raises `ValueError` when the channels are no multiple of `joints`.
    Source: Sun et al., Integral Human Pose Regression, ECCV 2018, equation 2.
    """
    n, channels, height, width = volume.shape
    if channels % joints:
        raise ValueError(f"volume head: got {channels} channels; want a multiple of {joints} joints")
    depth = channels // joints
    logits = volume.astype(np.float32, copy=False).reshape(n, joints, depth, height * width)
    weight = np.exp(logits - logits.max(axis=(2, 3), keepdims=True))
    along_z = weight.sum(axis=3)
    plane = weight.sum(axis=2).reshape(n, joints, height, width)
    x = plane.sum(axis=2) @ np.arange(width, dtype=np.float32)
    y = plane.sum(axis=3) @ np.arange(height, dtype=np.float32)
    z = along_z @ np.arange(depth, dtype=np.float32)
    places: F32 = np.stack([x, y, z], axis=2) / along_z.sum(axis=2)[..., None]
    return places
