"""Trains and exports the starter models of people in space: `python -m tools.train lift`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from tools.export import to_onnx
from tools.export.half import store_half
from tools.export.onnx_file import Normalised
from tools.nets.space import CELLS, DEPTH, JOINTS, POSE_WH, SIDE, Lifting, Rooting, Space
from tools.nets.starter import pose_net
from tools.nets.weights import load_weights, measure_norms, save_weights
from tools.synth.portraits import Portraits
from tools.train.batches import batches, first_images, normalised, print_progress
from tools.train.people import Photographed, Rendered, Windows
from tools.train.photographs import Photographs
from tools.train.schedule import Training
from tools.train.space import Truth, loss
from tools.train.speed import speed_up

SHARES = (0.5, 0.3, 0.2)  # of portraits, photographs and sports
POSE = Path(__file__).parents[2] / "engines/starter/rtmpose_person_t.onnx"
FILES = {"lift": "lift_person_t", "root": "rootnet_person_t"}


def windows(data: Path, portraits: list[Path]) -> Windows:
    """Return what the models learn from."""
    backgrounds = Photographs.read(data / "real", "train")
    rendered = Rendered([Portraits(folder) for folder in portraits], backgrounds)
    return Windows((rendered, Photographed.read(data, "train"), Photographed.sports(data)), SHARES, SIDE)


def batch(drawn: Windows, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Return windows (B, S, S, 3) BGR, joints (B, 18, 4) and gamma (B,)."""
    images, joints, gamma = zip(*(drawn.draw(rng) for _ in range(size)), strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(joints)), torch.tensor(gamma)


def started(pose: Path) -> Space:
    """Return the net with what a pose model knows. Raises ValueError if the file is of another net."""
    net, start = Space(), pose_net(17, POSE_WH)
    load_weights(start, pose)
    net.start(start)
    return net


def lift(args: argparse.Namespace) -> None:
    """Train for a slice, and export both models."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    net = started(args.start or POSE).to(memory_format=torch.channels_last)
    loader = batches(args, partial(batch, windows(args.data, args.portraits), args.batch))
    measure_norms(net, first_images(loader).flip(1))
    net.train()
    net.freeze()
    training = Training(net, args.rate, args.out / "lift.checkpoint")
    speed_up(net)

    def step() -> Tensor:
        images, joints, gamma = next(loader)
        with torch.autocast("cpu", torch.bfloat16):
            seen = net(normalised(images).flip(1))
        return loss(seen, Truth(joints, gamma))

    training.run(step, args.minutes, args.cooling, print_progress)
    save_weights(training.average, args.out / "lift.pth")
    export(training.average.to(memory_format=torch.contiguous_format), args.out)


def export(net: Space, out: Path) -> None:
    """Write both ONNX files, which normalise pixels by themselves."""
    parts = {"lift": (Lifting(net), ("volume",)), "root": (Rooting(net), ("root_xy", "gamma"))}
    for task, (part, outputs) in parts.items():
        file = out / f"{FILES[task]}.onnx"
        to_onnx(Normalised(part, 255.0), (1, 3, SIDE, SIDE), outputs, file, source="image")
        store_half(file)
    _name_shape(out / f"{FILES['lift']}.onnx", (JOINTS * DEPTH, CELLS, CELLS))


def _name_shape(file: Path, shape: tuple[int, ...]) -> None:
    """Write the shape of the volume into the file, which is lost where the batch is open."""
    model = onnx.load(file)
    for axis, length in zip(model.graph.output[0].type.tensor_type.shape.dim[1:], shape, strict=True):
        axis.dim_value = length
    onnx.checker.check_model(model)
    onnx.save(model, file)
