"""Raw model outputs to boxes, keypoints and joints. Pure numpy: the definition of the kernels of the same names."""

from __future__ import annotations

from edged.inference.decode.detectors import FAMILIES
from edged.inference.decode.heatmap3d import soft_argmax
from engines.verify.accuracy import Decode

ALL_DECODERS: dict[str, Decode] = {  # by family, for comparing models
    **{name: family.decode for name, family in FAMILIES.items()},
    "heatmap3d": soft_argmax,
}
