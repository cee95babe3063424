"""PyTorch as an engine of the CUDA backend equals the ONNX file, in every batch."""

from __future__ import annotations

import numpy as np
import pytest

from edged.inference.cuda.context import Gpu
from engines.catalogue import load
from tests.cuda.emulated import Emulated
from tests.cuda.makers import prepared
from tests.cuda.stand_in import StandIn, view
from tools.bench.contenders import model_path
from tools.bench.unavailable import Unavailable
from tools.cuda import engine_torch
from tools.cuda.engine_torch import TorchEngine

BATCHES = (1, 2)


@pytest.mark.parametrize("name", ["det-person-horse", "rtmpose-t-coco17"])
def test_torch_engine_equals_onnx_file(emulated: Emulated, gpu: Gpu, name: str) -> None:
    pytest.importorskip("torch", reason="needs PyTorch; install edged[train]")
    card, model = prepared(name, dynamic=True)
    engine = TorchEngine(gpu, load()[name], model_path(name), BATCHES, device="cpu")
    expected = StandIn(gpu, card, model, BATCHES)
    gpu.wait()  # for the zeros
    for batch in BATCHES:
        shown = np.random.default_rng(batch).standard_normal((batch, *engine.input.shape[1:])).astype(np.float32)
        for one in (engine, expected):
            view(one.input, batch)[:] = shown
            one.enqueue(batch)
        gpu.wait()
        for mine, theirs in zip(engine.outputs, expected.outputs, strict=True):
            assert mine.name == theirs.name
            np.testing.assert_allclose(view(mine, batch), view(theirs, batch), rtol=1e-3, atol=2e-3)
    engine.close()
    expected.close()


def test_torch_engine_of_unknown_model_is_absent(gpu: Gpu) -> None:
    card = load()["own-rtmdet-person"]
    with pytest.raises(Unavailable, match="no PyTorch net of own-rtmdet-person"):
        engine_torch.open_engine(card, model_path("det-person-horse"), gpu)
