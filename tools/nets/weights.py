"""Loading and saving weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tools.nets.cspnext import Conv

Layer = TypeVar("Layer", bound=nn.Module)

SCORES = "/score"  # the nodes of `Probability`
FITTED = ("/score/Mul_1", "/score/Add")  # those of its slope and offset, along x
FILTER_RMS = 0.14  # before a norm, as AdamW leaves it: rate / sqrt(2 rate decay) at rate 2e-3, decay 0.05


def load_weights(net: nn.Module, path: Path) -> None:
    """Load weights saved in the same order, under any names, or from an ONNX file written by `to_onnx`.

    Raises ValueError if they do not fit.
    """
    if path.suffix == ".onnx":
        _load_onnx(net, onnx.load(path).graph, path)
    else:
        _load_checkpoint(net, torch.load(path, map_location="cpu", weights_only=True), path)


def _load_checkpoint(net: nn.Module, saved: dict[str, Tensor], path: Path) -> None:
    own = net.state_dict()
    shapes = [(tuple(a.shape), tuple(b.shape)) for a, b in zip(own.values(), saved.values(), strict=False)]
    if len(own) != len(saved) or any(a != b for a, b in shapes):
        raise ValueError(f"{path}: {len(saved)} tensors that do not fit the {len(own)} of {type(net).__name__}")
    net.load_state_dict({name: value.to(own[name].dtype) for name, value in zip(own, saved.values(), strict=True)})


def detector_classes(path: Path) -> int:
    """Return how many classes the starter detector in an ONNX file learned. Raises ValueError if it is another net."""
    for array in onnx.load(path).graph.initializer:
        if "logits.0.weight" in array.name:
            return array.dims[0]
    raise ValueError(f"{path}: no layer logits.0")


def calibration(path: Path) -> tuple[float, float]:
    """Return slope and offset of the `Probability` in a pose model's ONNX file. Raises ValueError if it has none."""
    graph = onnx.load(path).graph
    values = {
        node.output[0]: float(numpy_helper.to_array(node.attribute[0].t))
        for node in graph.node
        if node.op_type == "Constant" and not node.attribute[0].t.dims
    }
    found = {
        node.name: values[name] for node in graph.node for name in node.input if name in values and node.name in FITTED
    }
    if len(found) != len(FITTED):
        raise ValueError(f"{path}: no {' and '.join(FITTED)} with a constant")
    slope, offset = (found[name] for name in FITTED)
    return slope, offset


@torch.no_grad()
def _load_onnx(net: nn.Module, graph: onnx.GraphProto, path: Path) -> None:
    """Load folded convolutions: filters get the length they have in training, and the norms the scale and bias."""
    arrays = {one.name: np.array(numpy_helper.to_array(one)) for one in graph.initializer}
    values = {name.removeprefix("net."): torch.from_numpy(array) for name, array in arrays.items()}
    for node in graph.node:  # `Calibrated` keeps the pose net there
        node.input[:], node.output[:] = ([name.removeprefix("net.") for name in n] for n in (node.input, node.output))
    for node in graph.node:
        if node.op_type in ("Identity", "Cast") and node.input[0] in values:  # a Cast: stored in half precision
            values[node.output[0]] = values[node.input[0]].float()
    exported = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    products = [
        values[node.input[1]].T
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in values and not node.name.startswith(SCORES)
    ]
    image = torch.zeros(1, *(axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[1:]))
    own, linear = _order(net, image, nn.Conv2d), _order(net, image, nn.Linear)
    if [tuple(conv.weight.shape) for conv in own] != [tuple(weight.shape) for weight, _ in exported]:
        raise ValueError(f"{path}: {len(exported)} convolutions that do not fit {type(net).__name__}")
    if [tuple(one.weight.shape) for one in linear] != [tuple(weight.shape) for weight in products]:
        raise ValueError(f"{path}: {len(products)} products that do not fit {type(net).__name__}")
    norms = {block.conv: block.bn for block in net.modules() if isinstance(block, Conv)}
    for conv, (weight, bias) in zip(own, exported, strict=True):
        if conv in norms:
            _unfold(conv, norms[conv], weight, bias)
        else:
            conv.load_state_dict({"weight": weight, "bias": bias})
    for one, weight in zip(linear, products, strict=True):
        one.load_state_dict({"weight": weight})
    for name, parameter in _free_parameters(net).items():
        parameter.copy_(values[name] if name in values else _factor(values, parameter, path))


def _free_parameters(net: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters outside convolutions, linear layers and norms, by name."""
    return {
        f"{at}.{name}": parameter
        for at, module in net.named_modules()
        if not isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
        for name, parameter in module.named_parameters(recurse=False)
    }


def _factor(values: dict[str, Tensor], parameter: Tensor, path: Path) -> Tensor:
    """Return the only multiplied constant of this shape, which the export may have renamed."""
    fit = [v for name, v in values.items() if name.startswith("onnx::Mul") and _sides(v) == _sides(parameter)]
    if len(fit) != 1:
        raise ValueError(f"{path}: {len(fit)} constants for a parameter of {tuple(parameter.shape)}")
    return fit[0].reshape(parameter.shape)


def _sides(value: Tensor) -> list[int]:
    """The axes of a shape that are longer than one."""
    return [side for side in value.shape if side > 1]


def _unfold(conv: nn.Conv2d, norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> None:
    rms = weight.flatten(1).square().mean(1).sqrt().clamp(min=1e-6)
    length = rms / FILTER_RMS
    conv.load_state_dict({"weight": weight / length[:, None, None, None]})
    still = {"running_mean": torch.zeros_like(bias), "running_var": torch.ones_like(bias) - norm.eps}
    norm.load_state_dict({"weight": length, "bias": bias, **still}, strict=False)


@torch.no_grad()
def measure_norms(net: nn.Module, images: Tensor) -> None:
    """Give the batch norms of `net` the mean and variance of `images` (B, 3, H, W); its outputs stay the same.

    Without it, the first step of training, which normalises by its batch, would see another net.
    """
    hooks = [
        norm.register_forward_pre_hook(_measure_norm) for norm in net.modules() if isinstance(norm, nn.BatchNorm2d)
    ]
    net.eval()(images)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def mix_weights(net: nn.Module, path: Path, share: float, images: Tensor) -> None:
    """Move the weights of `net` towards those of the file by `share`; its batch norms are those of `images` then.

    The mean of slices that were cooled finds more than either. Source: Wortsman et al., Model soups, ICML 2022.
    Raises ValueError if the file does not fit.
    """
    other = copy.deepcopy(net)
    load_weights(other, path)
    for own, theirs in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        if own.dtype.is_floating_point:
            own.lerp_(theirs, share)
    norms = {norm: norm.momentum for norm in net.modules() if isinstance(norm, nn.BatchNorm2d)}
    for norm in norms:
        norm.momentum = 1.0  # of these images alone
    net.train()(images)
    net.eval()
    for norm, momentum in norms.items():
        norm.momentum = momentum


def _measure_norm(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
    state = norm.state_dict()
    scale = norm.weight / (state["running_var"] + norm.eps).sqrt()
    offset = norm.bias - state["running_mean"] * scale
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), unbiased=False)
    state["running_mean"].copy_(mean)
    state["running_var"].copy_(variance)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + mean * scale)


def _order(net: nn.Module, image: Tensor, kind: type[Layer]) -> list[Layer]:
    """Return the layers of a kind in the order of execution; shared layers occur several times."""
    applied: list[Layer] = []
    hooks = [
        one.register_forward_hook(lambda layer, _, __: applied.append(layer))
        for one in net.modules()
        if isinstance(one, kind)
    ]
    net.eval()(image)
    for hook in hooks:
        hook.remove()
    return applied


def save_weights(net: nn.Module, path: Path) -> None:
    """Save the weights in half precision."""
    state = {name: v.half() if v.dtype == torch.float32 else v for name, v in net.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
