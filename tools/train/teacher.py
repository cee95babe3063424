"""A teacher for the detector: YOLOX-nano as published, trained on all of COCO. Only its outputs are used.

What few photographs cannot teach is learned from it: other animals, furniture, small people, and the maps inside.
Source: Hinton et al., Distilling the knowledge in a neural network, 2015; Romero et al., FitNets, ICLR 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx.utils import Extractor

from edged.frame import F32, U8
from tools.nets.rtmdet import STRIDES

MEAN, STD = np.array([103.53, 116.28, 123.675], np.float32), np.array([57.375, 57.12, 58.395], np.float32)  # BGR
CLASSES = (0, 17, 15, 16, 18, 19, 20, 21, 22, 23)  # KINDS among COCO's 80
MAPS = ("input.175", "input.283", "input.359", "input.599", "input.671", "input.743")  # three of backbone, of neck
WIDTHS = (64, 128, 256, 64, 64, 64)  # of MAPS
HEADS = ("onnx::Shape_1066", "onnx::Shape_1108", "output.1")  # x, y, log w, log h, object, classes; per stride


class Teacher:
    """Runs the published export at any size that is a multiple of 32."""

    def __init__(self, model: Path, threads: int = 1) -> None:
        whole = onnx.shape_inference.infer_shapes(onnx.load(model))
        source = whole.graph.input[0].name
        part = Extractor(whole).extract_model([source], [*HEADS, *MAPS])
        for one in (*part.graph.input, *part.graph.output):
            for axis in (0, 2, 3):
                one.type.tensor_type.shape.dim[axis].dim_param = f"{one.name}_{axis}"
        del part.graph.value_info[:]
        options = ort.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, threads
        self._session = ort.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._input = source

    def __call__(self, images: U8) -> tuple[F32, F32, list[F32]]:
        """Return scores (B, N, C) of KINDS, boxes (B, N, 4) x0 y0 x1 y1 in px and MAPS of `images` (B, H, W, 3) BGR.

        N are the cells of all strides, as in the detector's outputs.
        """
        out = self._session.run(None, {self._input: images.transpose(0, 3, 1, 2).astype(np.float32)})
        heads = [_decoded(one, stride) for one, stride in zip(out[: len(HEADS)], STRIDES, strict=True)]
        rows = np.concatenate(heads, axis=1)
        return rows[..., 5:][..., CLASSES] * rows[..., 4:5], rows[..., :4], out[len(HEADS) :]


def _decoded(head: F32, stride: int) -> F32:
    """(B, 85, h, w) to (B, h · w, 85) with boxes x0 y0 x1 y1 in px."""
    count, fields, height, width = head.shape
    y, x = np.mgrid[:height, :width]
    middle = (head[:, :2] + np.stack([x, y])) * stride
    half = np.exp(head[:, 2:4].clip(max=8)) * stride / 2
    head = np.concatenate([middle - half, middle + half, head[:, 4:]], axis=1)
    return head.reshape(count, fields, -1).transpose(0, 2, 1).astype(np.float32)
