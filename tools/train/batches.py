"""Batches of what a model learns from, drawn in processes of their own, and images as a net takes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tools.train.teacher import MEAN, STD

MEASURED = 6  # batches from which the norms of an exported model are measured


class Batches(IterableDataset[tuple[Tensor, ...]]):
    """Endless batches, with one seed per worker and slice."""

    def __init__(self, make: Callable[[np.random.Generator], tuple[Tensor, ...]], seed: int) -> None:
        self._make, self._seed = make, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self._seed, worker.id if worker else 0))
        while True:
            yield self._make(rng)


def batches(
    args: argparse.Namespace, make: Callable[[np.random.Generator], tuple[Tensor, ...]]
) -> Iterator[tuple[Tensor, ...]]:
    return iter(DataLoader(Batches(make, args.seed), None, num_workers=args.workers, prefetch_factor=4))


def normalised(images: Tensor) -> Tensor:
    """(B, H, W, 3) BGR bytes to (B, 3, H, W)."""
    scaled = (images.float() - torch.from_numpy(MEAN)) / torch.from_numpy(STD)
    return scaled.permute(0, 3, 1, 2)  # channels last in memory


def first_images(loader: Iterator[tuple[Tensor, ...]]) -> Tensor:
    """Return the images of MEASURED batches, (N, 3, H, W) BGR, normalised."""
    return normalised(torch.cat([next(loader)[0] for _ in range(MEASURED)]))


def print_progress(step: int, loss_value: float, seconds: float) -> None:
    print(f"{step}  loss {loss_value:.3f}  {seconds:.0f} s", flush=True)
