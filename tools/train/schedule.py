"""The training loop: averaged weights, learning rate schedule, checkpoints."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP = 0.03  # share of the steps with a growing learning rate
MIN_FACTOR = 0.02  # of the learning rate, at the end
CLIP = 10.0


class Training:
    """Trains a net; resumes from `checkpoint` if it exists."""

    def __init__(self, net: nn.Module, rate: float, steps: int, checkpoint: Path) -> None:
        self.net = net
        self.average = copy.deepcopy(net).eval()
        self._rate, self._steps, self._checkpoint = rate, steps, checkpoint
        self._done = 0
        learned = [p for p in net.parameters() if p.requires_grad]
        groups = ([p for p in learned if p.ndim > 1], [p for p in learned if p.ndim < 2])
        self._optimizer = torch.optim.AdamW(
            [{"params": groups[0], "weight_decay": 0.05}, {"params": groups[1], "weight_decay": 0.0}], lr=rate
        )
        if checkpoint.exists():
            self._resume(torch.load(checkpoint, map_location="cpu", weights_only=True))

    def run(self, step_loss: Callable[[], Tensor], every: int, report: Callable[[int, float, float], None]) -> None:
        """Train to the end; every `every` steps `report` gets step, mean loss and time, s."""
        begun_s, losses = time.monotonic(), []
        while self._done < self._steps:
            losses.append(self._step(step_loss))
            if self._done % every == 0 or self._done == self._steps:
                report(self._done, sum(losses) / len(losses), time.monotonic() - begun_s)
                losses.clear()
                self._save()

    def _step(self, step_loss: Callable[[], Tensor]) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * rate_factor(self._done / self._steps)
        loss = step_loss()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self._optimizer.step()
        self._update_average(min(0.998, (1 + self._done) / (10 + self._done)))
        self._done += 1
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, inertia: float) -> None:
        for mean, value in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - inertia)
            else:
                mean.copy_(value)

    def _save(self) -> None:
        state = {"net": self.net.state_dict(), "average": self.average.state_dict(), "done": self._done}
        part = self._checkpoint.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**state, "optimizer": self._optimizer.state_dict()}, part)
        part.replace(self._checkpoint)

    def _resume(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._done = state["done"]


def set_train_mode(net: nn.Module, *, fresh: bool) -> None:
    """Set the training mode; unless `fresh`, batch statistics stay fixed, so that training and inference use the same:
    heads shared by three strides have three statistics in training, and one in inference."""
    net.train()
    for norm in () if fresh else net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()


def rate_factor(progress: float) -> float:
    """Return the factor of the learning rate: linear warm-up, constant, then cosine decay."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return max(MIN_FACTOR, 0.5 * (1 + math.cos(math.pi * max(0.0, progress - 0.3) / 0.7)))
