"""`python -m tools.train detector|person|horse --scenes DIR --data ../shared/data --start WEIGHTS.pth --out DIR`."""

from __future__ import annotations

import argparse
import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tools.export import to_onnx
from tools.nets.starter import Detector, pose_net
from tools.train.crops import FLIPS, BoxedImages, CropSource, LspCrops
from tools.train.detector import Truth, loss, priors
from tools.train.detector import distillation_loss as detector_drift
from tools.train.pictures import SIZE_WH, EmptyImages, Horses, Mix, People, Scenes, Source
from tools.train.pose import distillation_loss
from tools.train.pose import loss as pose_loss
from tools.train.schedule import Training, set_train_mode
from tools.train.teacher import MEAN, STD, Teacher
from tools.train.weights import blend, load_weights, save_weights

EMPTY_SHARE, HORSE_SHARE = 0.08, 0.28  # shares: images without subjects; horses among the photographs
MAX_SUBJECTS = 12  # of one image
HEADS = [f"{kind}_{i}" for kind in ("cls_score", "bbox_pred") for i in range(3)]


class Batches(IterableDataset[tuple[Tensor, ...]]):
    """Endless batches, with one seed per worker."""

    def __init__(self, make: Callable[[np.random.Generator], tuple[Tensor, ...]], seed: int) -> None:
        self._make, self._seed = make, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self._seed, worker.id if worker else 0))
        while True:
            yield self._make(rng)


def batches(
    args: argparse.Namespace, make: Callable[[np.random.Generator], tuple[Tensor, ...]]
) -> Iterator[tuple[Tensor, ...]]:
    return iter(DataLoader(Batches(make, args.seed), None, num_workers=args.workers))


def image_batch(mix: Mix, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Return a batch for the detector."""
    images = torch.empty(size, 3, *SIZE_WH[::-1])
    boxes, labels = torch.zeros(size, MAX_SUBJECTS, 4), torch.zeros(size, MAX_SUBJECTS, dtype=torch.long)
    is_subject = torch.zeros(size, MAX_SUBJECTS, dtype=torch.bool)
    photographed = torch.zeros(size, dtype=torch.bool)
    for i in range(size):
        image, found, kinds, photographed[i] = mix.draw(rng)
        count = min(len(found), MAX_SUBJECTS)
        images[i] = torch.from_numpy(((image - MEAN) / STD).transpose(2, 0, 1))
        boxes[i, :count], labels[i, :count] = torch.from_numpy(found[:count]), torch.from_numpy(kinds[:count])
        is_subject[i, :count] = True
    return images, boxes, labels, is_subject, photographed


def crop_batch(crops: CropSource, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Return a batch for a pose model, RGB."""
    drawn = [crops.draw(rng) for _ in range(size)]
    images = np.stack([((image - MEAN) / STD)[..., ::-1].transpose(2, 0, 1) for image, _, _ in drawn])
    points, photographed = np.stack([one for _, one, _ in drawn]), np.array([one for _, _, one in drawn])
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(points), torch.from_numpy(photographed)


def detector(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = Detector()
    if args.start is not None:
        load_weights(net, args.start)
        for early in (net.backbone.stem, *net.backbone.stages[: args.frozen]):
            early.requires_grad_(False)
    net = net.to(device, memory_format=torch.channels_last)
    loader = batches(args, partial(image_batch, mixed(args), args.batch))
    before = copy.deepcopy(net).eval()
    cells = priors().to(device)
    training = Training(net, args.rate, args.steps, args.out / "detector.checkpoint")

    def step() -> Tensor:
        set_train_mode(net, fresh=args.start is None)
        images, boxes, labels, is_subject, photographed = (one.to(device) for one in next(loader))
        images, truth = images.contiguous(memory_format=torch.channels_last), Truth(boxes, labels, is_subject)
        found = net(images)
        loss_value = loss(found, truth, cells)
        if not args.hold or not photographed.any():
            return loss_value
        with torch.no_grad():
            old_output = before(images[photographed])
        photo_truth = Truth(*(part[photographed] for part in truth))
        return loss_value + args.hold * detector_drift(
            tuple(part[photographed] for part in found), old_output, photo_truth, cells
        )

    training.run(step, args.every, lambda n, loss_value, s: print_progress(args, n, loss_value, s))
    blend(training.average, before, args.blend)
    save_weights(training.average, args.out / "det_person_horse.pth")
    to_onnx(training.average.cpu(), (1, 3, *SIZE_WH[::-1]), HEADS, args.out / "det_person_horse.onnx")


def pose(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = POSES[args.model]
    net = pose_net(len(FLIPS[recipe.schema]), recipe.size_wh)
    if args.start is not None:
        load_weights(net, args.start)
    net = net.to(device, memory_format=torch.channels_last)
    if args.start is not None:
        for early in (net.backbone.stem, *net.backbone.stages[: args.frozen]):
            early.requires_grad_(False)
    loader = batches(args, partial(crop_batch, recipe.crops(args), args.batch))
    before = copy.deepcopy(net).eval()
    training = Training(net, args.rate, args.steps, args.out / f"{args.model}.checkpoint")

    def step() -> Tensor:
        set_train_mode(net, fresh=args.start is None)
        images, keypoints, photographed = (one.to(device) for one in next(loader))
        images = images.contiguous(memory_format=torch.channels_last)
        found = net(images)
        loss_value = pose_loss(found, keypoints, recipe.size_wh)
        if not args.hold:
            return loss_value
        with torch.no_grad():
            old_output = before(images)
        return loss_value + args.hold * distillation_loss(found, old_output, photographed)

    training.run(step, args.every, lambda n, loss_value, s: print_progress(args, n, loss_value, s))
    blend(training.average, before, args.blend)
    save_weights(training.average, args.out / f"{recipe.file}.pth")
    width, height = recipe.size_wh
    to_onnx(training.average.cpu(), (1, 3, height, width), ("simcc_x", "simcc_y"), args.out / f"{recipe.file}.onnx")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of one pose model."""

    file: str
    schema: str
    size_wh: tuple[int, int]
    turn_deg: float

    def crops(self, args: argparse.Namespace) -> CropSource:
        """Return the photographs and rendered subjects of this model."""
        kind = args.model
        photographs = (
            LspCrops.read(args.data / "lsp") if kind == "person" else BoxedImages.of_horses(args.data / "horse")
        )
        rendered = [BoxedImages.of_scenes(folder, kind, self.schema) for folder in args.scenes]
        shares = [args.photographs, *[(1 - args.photographs) / len(rendered)] * len(rendered)]
        return CropSource([photographs, *rendered], shares, self.schema, self.size_wh, self.turn_deg)


POSES = {
    "person": Recipe("rtmpose_lsp_t", "lsp-14", (192, 256), 40),
    "horse": Recipe("rtmpose_horse_t", "ap10k-17", (256, 256), 25),
}


def mixed(args: argparse.Namespace) -> Mix:
    """Return the mix of photographs, images without subjects, and rendered scenes."""
    horses, rendered = Horses.read(args.data / "horse"), 1 - EMPTY_SHARE - args.photographs
    sources: list[tuple[Source, float]] = [
        *((Scenes.read(folder), rendered / len(args.scenes)) for folder in args.scenes),
        (horses, HORSE_SHARE * args.photographs),
        (people(args), (1 - HORSE_SHARE) * args.photographs),
        (EmptyImages(horses), EMPTY_SHARE),
    ]
    return Mix([source for source, _ in sources], [share for _, share in sources])


def people(args: argparse.Namespace) -> People:
    """Return the photographs of people; the labels of the teacher are saved, as they take minutes."""
    file = args.out / "people.pickle"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(People.read(args.data / "lsp", Teacher(args.teacher)).boxes))
    data = np.fromfile(args.data / "lsp" / "train.bin", np.uint8)
    with np.load(args.data / "lsp" / "train.npz") as arrays:
        return People(data, arrays["offset"].astype(np.int64), pickle.loads(file.read_bytes()))  # noqa: S301  our own


def print_progress(args: argparse.Namespace, step: int, loss_value: float, seconds: float) -> None:
    print(f"{step}/{args.steps}  loss {loss_value:.3f}  {seconds:.0f} s", flush=True)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("model", choices=("detector", *POSES))
    parser.add_argument("--data", type=Path, required=True, help="folder with horse/ and lsp/")
    parser.add_argument("--scenes", type=Path, nargs="+", required=True, help="folders made by tools.synth")
    parser.add_argument("--teacher", type=Path, help="an end-to-end RTMDet that labels people in photographs")
    parser.add_argument("--start", type=Path, help="weights to begin with; none: from scratch")
    parser.add_argument("--frozen", type=int, default=1, help="stages after the stem that are not trained")
    parser.add_argument("--photographs", type=float, default=0.5, help="share of the samples; the rest rendered")
    parser.add_argument("--hold", type=float, default=0.0, help="weight of the distillation loss on photographs")
    parser.add_argument(
        "--blend", type=float, default=1.0, help="weight of the trained weights when blended with --start"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=50, help="steps between two reports and checkpoints")
    return parser


if __name__ == "__main__":
    args = arguments().parse_args()
    (detector if args.model == "detector" else pose)(args)
