"""`python -m tools.train detector|person|horse|lift --data ../shared/data --scenes DIR --minutes 60 --out DIR`.

Run again with the same `--out` and another `--seed`, training goes on; from the shipped model with `--start`.
`--minutes 0` exports `--start` as it is, or averaged with `--mixed`. A step takes 0.85 of the time where the C library
keeps memory that is given back, in large pages:
`MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 GLIBC_TUNABLES=glibc.malloc.hugetlb=1`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.card.schema import SCHEMAS
from tools.export import to_onnx
from tools.export.half import store_half
from tools.nets.starter import Calibrated, Detector, OfCard, pose_net
from tools.nets.weights import load_weights, measure_norms, mix_weights, save_weights
from tools.train.batches import batches, first_images, normalised, print_progress
from tools.train.calibrate import fit, peaks, reliability
from tools.train.crops import BoxedImages, Crops, PosedPhotographs, SportsCrops
from tools.train.crops import Source as Pictured
from tools.train.detector import Hints, Taught, Truth, loss, priors, teacher_loss
from tools.train.false_boxes import FalseBoxes
from tools.train.lift import lift
from tools.train.photographs import Photographs
from tools.train.pictures import (
    KINDS,
    SIZE_WH,
    Fields,
    Horses,
    Mix,
    Picture,
    Scenes,
    Source,
    Sports,
    degraded,
)
from tools.train.pose import loss as pose_loss
from tools.train.schedule import Training
from tools.train.speed import speed_up
from tools.train.teacher import Teacher

MOST = 40  # boxes and ignored regions of one image
DEGRADED_SHARE = 0.3  # of the detector's images: with simulated camera defects or posts
Drawn = TypeVar("Drawn")
DETECTOR = Path(__file__).parents[2] / "engines/starter/det_person_horse.onnx"
HEADS = [f"{kind}_{i}" for kind in ("cls_score", "bbox_pred") for i in range(3)]


class DetectorBatch:
    """Makes a batch for the detector: images, truth, and what the teacher says of them."""

    def __init__(self, mix: Mix, size: int, model: Path) -> None:
        self._mix, self._size, self._model = mix, size, model
        self._teacher: Teacher | None = None  # made in the worker: a session cannot be passed to it

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        self._teacher = self._teacher or Teacher(self._model)
        pictures = [self._mix.draw(rng) for _ in range(self._size)]
        images = np.stack([picture.image for picture in pictures])
        scores, boxes, maps = self._teacher(images)  # which sees them before their defects
        images = np.stack([degraded(one, rng) if rng.random() < DEGRADED_SHARE else one for one in images])
        truth = (torch.from_numpy(np.stack(part)) for part in zip(*map(_rows, pictures), strict=True))
        return torch.from_numpy(images), *truth, *map(torch.from_numpy, (scores, boxes, *maps))


def _rows(picture: Picture) -> tuple[np.ndarray, ...]:
    """Return a picture's truth at fixed length: boxes, labels, whether they are subjects, what is complete."""
    count = min(len(picture.boxes), MOST)
    both = np.concatenate([picture.boxes[:count], picture.ignored])[:MOST]
    boxes, labels, subjects = np.zeros((MOST, 4), np.float32), np.zeros(MOST, np.int64), np.zeros(MOST, bool)
    boxes[: len(both)], labels[:count], subjects[:count] = both, picture.labels[:count], True
    return boxes, labels, subjects, np.array(picture.complete, np.float32)


def detector(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    net = Detector(len(KINDS))
    if args.start is not None:
        load_weights(net, args.start)
    net = net.to(memory_format=torch.channels_last)
    hints = Hints(net).to(memory_format=torch.channels_last)
    mix = Mix(*sources(args), args.size, args.plain)
    loader = batches(args, DetectorBatch(mix, args.batch, args.teacher))
    cells = priors(args.size)
    if args.start is not None:
        if args.mixed is not None:
            mix_weights(net, args.mixed, args.share, first_images(loader))
        measure_norms(net, first_images(loader))
    training = Training(net, args.rate, args.out / "detector.checkpoint", hints)
    speed_up(net)
    net.train()

    def step() -> Tensor:
        images, *known = next(loader)
        truth, (scores, boxes, *maps) = Truth(*known[:4]), known[4:]
        taught = Taught(scores, boxes, maps)
        with torch.autocast("cpu", torch.bfloat16):
            own = list(net.backbone.maps(normalised(images)))
            levels = net.levels(own)
            outputs = net.heads(levels)
            apart = hints([*own, *levels], taught.maps)
        return (
            loss(outputs, truth, cells) + args.taught * teacher_loss(outputs, taught, truth, cells) + args.hints * apart
        )

    training.run(step, args.minutes, args.cooling, print_progress)
    save_weights(training.average, args.out / "detector.pth")
    file = args.out / "det_person_horse.onnx"
    to_onnx(OfCard(training.average), (1, 3, *SIZE_WH[::-1]), HEADS, file)
    store_half(file)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of one pose model."""

    file: str
    schema: str
    size_wh: tuple[int, int]
    turn_deg: float
    kind: str  # of the subjects
    others: tuple[str, ...] = ()  # kinds that have the same keypoints

    def crops(self, data: Path, scenes: list[Path], detector: Path, *, confirm: bool) -> Crops:
        """Return what the model learns from; `detector` makes the false boxes.

        confirm  of other kinds it learns that no keypoint is to be seen, else where they are
        """
        real = Photographs.read(data / "real", "train")
        others = () if confirm else self.others
        false = FalseBoxes.of(real, (self.kind, *others), len(SCHEMAS[self.schema]), detector)
        shares: list[tuple[Pictured, float]] = [
            (PosedPhotographs.of(real, self.schema, self.kind), 0.5),
            (false, 0.35 if confirm else 0.15),
            *((BoxedImages.of_scenes(folder, self.kind, self.schema), 0.1 / len(scenes)) for folder in scenes),
        ]
        if others:
            shares.append((PosedPhotographs.of(real, self.schema, *others), 0.25))
        if self.kind == "person":
            shares.append((SportsCrops(Sports.read(data / "lsp")), 0.25))
        else:
            shares.append((BoxedImages.of_horses(data / "horse"), 0.1))
        return Crops(*weighed(shares), self.schema, self.size_wh, self.turn_deg)


POSES = {
    "person": Recipe("rtmpose_person_t", "coco-17", (192, 256), 40, "person"),
    "horse": Recipe("rtmpose_horse_t", "ap10k-17", (256, 256), 25, "horse", ("cow", "sheep", "dog", "cat")),
}


def pose(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    recipe = POSES[args.model]
    net = pose_net(len(SCHEMAS[recipe.schema]), recipe.size_wh)
    if args.start is not None:
        load_weights(net, args.start)
    net = net.to(memory_format=torch.channels_last)
    crops = recipe.crops(args.data, args.scenes, args.detector, confirm=args.confirm)
    loader = batches(args, partial(crop_batch, crops, args.batch))
    if args.start is not None:
        measure_norms(net, first_images(loader).flip(1))
    training = Training(net, args.rate, args.out / f"{args.model}.checkpoint")
    speed_up(net)
    net.train()

    def step() -> Tensor:
        images, keypoints = next(loader)
        with torch.autocast("cpu", torch.bfloat16):
            last = net.backbone(normalised(images).flip(1))[-1]
        return pose_loss(net.head(last.float()), keypoints, recipe.size_wh)

    training.run(step, args.minutes, args.cooling, print_progress)
    save_weights(training.average, args.out / f"{recipe.file}.pth")
    export_pose(training.average.to(memory_format=torch.contiguous_format), recipe, args)


def crop_batch(crops: Crops, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Return a batch for a pose model: windows (B, H, W, 3) BGR and keypoints (B, K, 3)."""
    windows, keypoints = zip(*(crops.draw(rng) for _ in range(size)), strict=True)
    return torch.from_numpy(np.stack(windows)), torch.from_numpy(np.stack(keypoints))


def export_pose(net: nn.Module, recipe: Recipe, args: argparse.Namespace) -> None:
    """Write the ONNX file, with scores that are probabilities on the validation photographs."""
    seen = peaks(
        net.eval(),
        PosedPhotographs.of(Photographs.read(args.data / "real", "val"), recipe.schema, recipe.kind),
        recipe.size_wh,
    )
    slope, offset = fit(seen)
    print(f"{len(seen.hit)} keypoints, {seen.hit.mean():.3f} within tolerance; slope {slope:.3f}, offset {offset:.3f}")
    for score, share, count in reliability(seen, slope, offset):
        print(f"score {score:.2f}: {share:.2f} of {count}")
    width, height = recipe.size_wh
    calibrated = Calibrated(net, recipe.size_wh, slope, offset)
    file = args.out / f"{recipe.file}.onnx"
    to_onnx(calibrated, (1, 3, height, width), ("simcc_x", "simcc_y"), file)
    store_half(file)


def sources(args: argparse.Namespace) -> tuple[list[Source], list[float]]:
    """Return what the detector learns from, and its shares, which `weighed` makes shares of one."""
    real = Photographs.read(args.data / "real", "train")
    shares: list[tuple[Source, float]] = [
        (real.with_kind("person"), 0.40),
        (real.with_kind("horse"), 0.15),
        (real.with_kind("cow", "sheep", "dog", "cat"), 0.12),
        (real.with_kind(), 0.08),
        (Sports.read(args.data / "lsp"), 0.08),
        (Horses.read(args.data / "horse"), 0.04),
        *((Scenes.read(folder), args.rendered / len(args.scenes)) for folder in args.scenes),
        (Fields(), 0.01),
    ]
    return weighed(shares)


def weighed(shares: Sequence[tuple[Drawn, float]]) -> tuple[list[Drawn], list[float]]:
    """Return the sources, and their shares of one."""
    total = sum(share for _, share in shares)
    return [source for source, _ in shares], [share / total for _, share in shares]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("model", choices=("detector", "lift", *POSES))
    parser.add_argument("--data", type=Path, required=True, help="folder with real/, horse/ and lsp/")
    parser.add_argument("--scenes", type=Path, nargs="*", default=[], help="folders made by tools.synth")
    parser.add_argument("--portraits", type=Path, nargs="*", default=[], help="folders made by tools.synth portraits")
    parser.add_argument(
        "--rendered", type=float, default=0.14, help="share of the scenes; of what is left, photographs"
    )
    parser.add_argument("--teacher", type=Path, help="YOLOX-nano as published, which teaches the detector")
    parser.add_argument("--detector", type=Path, default=DETECTOR, help="makes false boxes, to train a pose model")
    parser.add_argument("--confirm", action="store_true", help="a pose model learns to refute boxes of other kinds")
    parser.add_argument("--taught", type=float, default=1.0, help="weight of the teacher's scores and boxes")
    parser.add_argument("--hints", type=float, default=1.0, help="weight of the teacher's maps")
    parser.add_argument("--size", type=size, default=SIZE_WH, metavar="WxH", help="canvas in training; multiples of 32")
    parser.add_argument("--plain", action="store_true", help="the last slice: hardly any mosaics, most pictures whole")
    parser.add_argument("--start", type=Path, help="weights to begin with; none: from scratch")
    parser.add_argument("--mixed", type=Path, help="a detector to average with that of --start")
    parser.add_argument("--share", type=float, default=0.33, help="of --mixed in the average")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60, help="length of this slice; run again to go on")
    parser.add_argument("--cooling", type=float, default=0.3, help="share of the slice with a falling rate")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; more only where nothing else runs")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="another one for every slice")
    return parser


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments. Ends the program where they do not go together."""
    parser = arguments()
    args = parser.parse_args(argv)
    if args.mixed is not None and (args.model != "detector" or args.start is None):
        parser.error("--mixed is averaged with a detector; give the model detector, and --start")
    return args


def size(text: str) -> tuple[int, int]:
    width, height = (int(side) for side in text.split("x"))
    return width, height


if __name__ == "__main__":
    arguments_ = parsed()
    if arguments_.model == "lift":
        lift(arguments_)
    else:
        (detector if arguments_.model == "detector" else pose)(arguments_)
