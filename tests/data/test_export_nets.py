"""Our definitions of published nets, with trained weights, against ONNX files that other code made of the same."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper, numpy_helper

from tests.support.shared_data import SHARED

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")

from tools.nets.rtmdet import RtmDet  # noqa: E402
from tools.nets.rtmpose import RtmPose  # noqa: E402

MODELS = SHARED / "models"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason=f"{MODELS} is not on this machine")

EPS = 1e-5
HEADS = ("y", "y.8", "y.16", "y.4", "y.12", "y.20")  # logits, then distances, in the published file


def said(model: ModelProto, shown: Any, outputs: list[str]) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(outputs, {"input": shown}))


def close(got: Any, wanted: list[Any]) -> None:
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-4 * np.abs(theirs).max())


def in_order(net: Any, shown: Any) -> list[tuple[str, Any]]:
    """The convolutions as they run."""
    order: list[tuple[str, Any]] = []
    hooks = [
        module.register_forward_hook(lambda module, *_, name=name: order.append((name, module)))
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    net(torch.from_numpy(shown))
    for hook in hooks:
        hook.remove()
    return order


def in_published_order(net: Any, shown: Any) -> list[tuple[str, Any]]:
    """The convolutions as the published file lists them: of each CSP layer the one around the blocks comes first."""
    order = in_order(net, shown)
    for short in [pair for pair in order if pair[0].endswith("short_conv.conv")]:
        order.remove(short)
        names = [name for name, _ in order]
        order.insert(names.index(short[0].replace("short_conv", "main_conv")), short)
    return order


def unfolded(net: Any, shown: Any, model: ModelProto) -> dict[str, Any]:
    """The net's weights from a file whose norms are folded into its convolutions, which run in the same order."""
    values = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    state = {}
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    for (name, module), node in zip(in_published_order(net, shown), nodes, strict=True):
        weight, bias = (torch.from_numpy(values[i].copy()) for i in node.input[1:])
        norm, one = f"{name.removesuffix('conv')}bn", torch.ones(len(bias))
        state[f"{name}.weight"] = weight
        if module.bias is not None:
            state[f"{name}.bias"] = bias
        else:
            state |= {f"{norm}.weight": one, f"{norm}.bias": bias}
            state |= {f"{norm}.running_mean": 0 * one, f"{norm}.running_var": one - EPS}
    return state


def test_rtmdet_with_the_published_weights_says_what_the_published_file_says() -> None:
    model = onnx.load(MODELS / "upstream/rtmdet_nano.onnx")
    net = RtmDet(0.25, (1, 2, 2, 1), (1, 64), 1, light=True).eval()
    shown = np.random.default_rng(0).standard_normal((1, 3, 320, 320)).astype(np.float32)
    net.load_state_dict(unfolded(net, shown, model))
    for name in HEADS:
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    close(net(torch.from_numpy(shown)), said(model, shown, list(HEADS)))


def test_rtmpose_with_trained_weights_says_what_their_file_says() -> None:
    """A prototype's: it calls one parameter otherwise, and its norms have another epsilon."""
    saved = torch.load(MODELS / "starter/rtmpose_lsp_t.pth", map_location="cpu", weights_only=True)
    state = {name.replace("gau.res", "gau.res_scale.scale"): value for name, value in saved.items()}
    net = RtmPose(0.375, (1, 1, 1, 1), 14, 48, (384, 512)).eval()
    net.load_state_dict(state)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    shown = np.random.default_rng(0).standard_normal((2, 3, 256, 192)).astype(np.float32)
    got = net(torch.from_numpy(shown))
    close(got, said(onnx.load(MODELS / "starter/rtmpose_lsp_t.onnx"), shown, ["simcc_x", "simcc_y"]))
