"""Volume heads (ConvNeXtPose, MobileHumanPose, Integral, PoseNet): one distribution over space per joint."""

from __future__ import annotations

import numpy as np

from edged.frame import F32


def expected(volume: F32, joints: int) -> F32:
    """Places (N, J, 3) x, y, z in bins, counted from 0, of (N, J·D, H, W) activations; all in FP32.

    The channel of joint j at depth d is j·D + d. The place is the mean of the softmax over the joint's whole
    volume, never a NaN unless an activation is one (or all are infinite).
    Source: Sun et al., Integral Human Pose Regression, ECCV 2018, equation 2.
    """
    n, channels, height, width = volume.shape
    if channels % joints:
        raise ValueError(f"volume head: got {channels} channels; want a multiple of {joints} joints")
    depth = channels // joints
    logits = volume.astype(np.float32).reshape(n, joints, -1)
    weight = np.exp(logits - logits.max(axis=2, keepdims=True))
    weight /= weight.sum(axis=2, keepdims=True)
    weight = weight.reshape(n, joints, depth, height, width)
    x = weight.sum(axis=(2, 3)) @ np.arange(width, dtype=np.float32)
    y = weight.sum(axis=(2, 4)) @ np.arange(height, dtype=np.float32)
    z = weight.sum(axis=(3, 4)) @ np.arange(depth, dtype=np.float32)
    return np.stack([x, y, z], axis=2)
