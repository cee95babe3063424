"""`python -m tools.train detector --scenes DIR --data ../shared/data --start WEIGHTS.pth --out DIR`."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tools.export import to_onnx
from tools.train.detector import Truth, loss, priors
from tools.train.nets_detector import Detector
from tools.train.pictures import SIDE, Horses, Mix, Nobody, People, Scenes, Source
from tools.train.schedule import Training
from tools.train.teacher import MEAN, STD, Teacher
from tools.train.weights import keep, take

SCENES, HORSES, PEOPLE, NOBODY = 0.5, 0.17, 0.23, 0.1  # of what is drawn
MOST = 12  # subjects of one picture
HEADS = [f"{kind}_{i}" for kind in ("cls_score", "bbox_pred") for i in range(3)]


class Batches(IterableDataset[tuple[Tensor, ...]]):
    """Endless, from one seed per worker."""

    def __init__(self, mix: Mix, size: int, seed: int) -> None:
        self._mix, self._size, self._seed = mix, size, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self._seed, worker.id if worker else 0))
        while True:
            yield self._batch(rng)

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        images = torch.empty(self._size, 3, SIDE, SIDE)
        boxes, labels = torch.zeros(self._size, MOST, 4), torch.zeros(self._size, MOST, dtype=torch.long)
        there = torch.zeros(self._size, MOST, dtype=torch.bool)
        for i in range(self._size):
            image, found, kinds = self._mix.draw(rng)
            count = min(len(found), MOST)
            images[i] = torch.from_numpy(((image - MEAN) / STD).transpose(2, 0, 1))
            boxes[i, :count], labels[i, :count] = torch.from_numpy(found[:count]), torch.from_numpy(kinds[:count])
            there[i, :count] = True
        return images, boxes, labels, there


def detector(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = Detector()
    if args.start is not None:
        take(net, args.start)
        for early in (net.stem, *list(net.stages)[: args.frozen]):
            early.requires_grad_(False)
    net = net.to(device, memory_format=torch.channels_last)
    loader = iter(DataLoader(Batches(mixed(args), args.batch, args.seed), None, num_workers=args.workers))
    cells = priors().to(device)
    training = Training(net, args.rate, args.steps, args.out / "detector.checkpoint")

    def step() -> Tensor:
        net.train()
        for early in (net.stem, *list(net.stages)[: args.frozen if args.start is not None else 0]):
            early.eval()  # statistics of what is not trained stay too
        images, *truth = (one.to(device) for one in next(loader))
        return loss(net(images.contiguous(memory_format=torch.channels_last)), Truth(*truth), cells)

    training.run(step, args.every, lambda n, lost, s: say(args, n, lost, s))
    keep(training.average, args.out / "det_person_horse.pth")
    to_onnx(training.average.cpu(), (1, 3, SIDE, SIDE), HEADS, args.out / "det_person_horse.onnx")


def mixed(args: argparse.Namespace) -> Mix:
    """Half of it rendered."""
    horses = Horses.read(args.data / "horse")
    scenes = [(Scenes.read(folder), SCENES / len(args.scenes)) for folder in args.scenes]
    sources: list[tuple[Source, float]] = [*scenes, (horses, HORSES), (people(args), PEOPLE), (Nobody(horses), NOBODY)]
    return Mix([source for source, _ in sources], [share for _, share in sources])


def people(args: argparse.Namespace) -> People:
    """The teacher's labels are kept: they take minutes."""
    file = args.out / "people.pickle"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(People.read(args.data / "lsp", Teacher(args.teacher)).boxes))
    data = np.fromfile(args.data / "lsp" / "train.bin", np.uint8)
    with np.load(args.data / "lsp" / "train.npz") as told:
        return People(data, told["offset"].astype(np.int64), pickle.loads(file.read_bytes()))  # noqa: S301  our own


def say(args: argparse.Namespace, step: int, lost: float, seconds: float) -> None:
    print(f"{step}/{args.steps}  loss {lost:.3f}  {seconds:.0f} s", flush=True)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("model", choices=("detector",))
    parser.add_argument("--data", type=Path, required=True, help="folder with horse/ and lsp/")
    parser.add_argument("--scenes", type=Path, nargs="+", required=True, help="folders that tools.synth made")
    parser.add_argument("--teacher", type=Path, help="an end-to-end RTMDet for people, to label photographs with")
    parser.add_argument("--start", type=Path, help="weights to begin with; none: from scratch")
    parser.add_argument("--frozen", type=int, default=1, help="stages after the stem that stay as they were")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=50, help="steps between two reports and checkpoints")
    return parser


if __name__ == "__main__":
    detector(arguments().parse_args())
