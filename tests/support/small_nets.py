"""3D nets of one layer with random weights, whose tensors are those of their cards: what real ones are fed and give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper, save

from engines.card import Card
from engines.card.schema import SCHEMAS
from engines.catalogue import load
from engines.store.model_store import ModelStore

SEED = 9
CELL = 4  # px of RootNet's input


def written(card: Card, folder: Path, batch: int | str = "batch") -> Path:
    """The net of a card of task lift or root, as NAME.onnx; `batch` a number: exported for so many people alone."""
    nodes, weights = _volume(card) if card.lift else _root(card)
    width, height = card.input.size_wh
    graph = helper.make_graph(
        nodes,
        card.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, [batch, *o.shape[1:]]) for o in card.outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / f"{card.name}.onnx")
    return folder / f"{card.name}.onnx"


def kept(store: Path, *names: str) -> Path:
    """A model store that holds the nets of these cards."""
    cards = load()
    for name in names:
        ModelStore(store).import_(cards[name], written(cards[name], store.with_name("exported")))
    return store


def _volume(card: Card) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """One convolution: every cell of a joint's volume answers to the colours of its patch of the image."""
    assert card.lift is not None
    channels, cells = len(SCHEMAS[card.lift.schema_name]) * card.lift.depth, card.outputs[0].shape[-1]
    assert cells is not None
    step = card.input.size_wh[0] // cells
    rng = np.random.default_rng(SEED)
    kernel = (rng.standard_normal((channels, 3, step, step)) * 0.03 / step).astype(np.float32)
    name = f"{card.fp32[0]}/Conv"  # the last layer, as in the real net: FP16 would show in it
    conv = helper.make_node("Conv", ["image", "kernel"], ["volume"], name=name, strides=[step, step])
    return [conv], {"kernel": kernel}


def _root(card: Card) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """The root lies in the middle; gamma is 1 and a little, the more the brighter the crop."""
    assert card.root is not None
    middle = np.full((1, 2), card.root.cells / 2, np.float32)
    weights = {
        "middle": middle,
        "little": np.array(0.1 / 255, np.float32),
        "one": np.ones((1, 1), np.float32),
        "shape": np.array([-1, 1]),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=1, axes=[1, 2, 3]),
        helper.make_node("Reshape", ["mean", "shape"], ["grey"]),
        helper.make_node("Mul", ["grey", "little"], ["more"]),
        helper.make_node("Add", ["more", "one"], ["gamma"]),
        helper.make_node("Sub", ["grey", "grey"], ["nothing"]),
        helper.make_node("Add", ["middle", "nothing"], ["root_xy"]),
    ]
    return nodes, weights
