"""Weights stored in half precision: a file of half the size that computes in single precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MIN_ELEMENTS = 256  # of a weight that is stored in half precision
SUFFIX = ".half"


def store_half(path: Path) -> None:
    """Rewrite an ONNX file: large float32 weights become float16, each cast back before its first use.

    Runtimes cast them once, when they load the file. Raises ValueError if a weight is too large for float16.
    """
    model = onnx.load(path)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= MIN_ELEMENTS:
            name, array = weight.name, numpy_helper.to_array(weight)
            if np.abs(array).max() > np.finfo(np.float16).max:
                raise ValueError(f"{path}: {name} has values beyond float16; store it in float32")
            weight.CopyFrom(numpy_helper.from_array(array.astype(np.float16), name + SUFFIX))
            casts.append(helper.make_node("Cast", [weight.name], [name], f"/{name}/cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
