"""The training loop: averaged weights, learning rate schedule, checkpoints.

Training is done in slices of time. A slice begins where the one before stopped, at the full rate; its last part, at a
falling rate, ends in weights that can be used and is not continued from.
Source: Hu et al., MiniCPM (warm-up, stable, decay), 2024.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP = 300  # steps with a growing rate, once
MIN_FACTOR = 0.01  # of the rate, at the end
CLIP = 10.0
INERTIA = 0.999  # of the averaged weights
EVERY = 50  # steps between two reports and checkpoints


class Training:
    """Trains a net, and `beside` it what is used in training only; resumes from `checkpoint` if it exists."""

    def __init__(self, net: nn.Module, rate: float, checkpoint: Path, beside: nn.Module | None = None) -> None:
        self.net, self.beside = net, beside or nn.Module()
        self.average = copy.deepcopy(net).eval()
        self.done = 0
        self._rate, self._checkpoint = rate, checkpoint
        learned = [p for p in (*net.parameters(), *self.beside.parameters()) if p.requires_grad]
        groups = ([p for p in learned if p.ndim > 1], [p for p in learned if p.ndim < 2])
        self._optimizer = torch.optim.AdamW(
            [{"params": groups[0], "weight_decay": 0.05}, {"params": groups[1], "weight_decay": 0.0}], lr=rate
        )
        if checkpoint.exists():
            self._resume(torch.load(checkpoint, map_location="cpu", weights_only=True))

    def run(
        self,
        step_loss: Callable[[], Tensor],
        minutes: float,
        cooling: float,
        report: Callable[[int, float, float], None],
    ) -> None:
        """Train for a slice of `minutes`, of which the share `cooling` at a falling rate.

        Every EVERY steps `report` gets the steps so far, their mean loss and the time, s.
        """
        begun_s, losses = time.monotonic(), []
        while (elapsed_s := time.monotonic() - begun_s) < 60 * minutes:
            passed = elapsed_s / (60 * minutes)
            losses.append(self._step(step_loss, rate_factor(self.done, passed, cooling)))
            if self.done % EVERY == 0:
                report(self.done, sum(losses) / len(losses), time.monotonic() - begun_s)
                losses.clear()
                if passed < 1 - cooling:
                    self._save()

    def _step(self, step_loss: Callable[[], Tensor], factor: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * factor
        loss = step_loss()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self._optimizer.step()
        self._update_average(min(INERTIA, (1 + self.done) / (10 + self.done)))
        self.done += 1
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, inertia: float) -> None:
        for mean, value in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - inertia)
            else:
                mean.copy_(value)

    def _save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("net", "average", "beside", "_optimizer")}
        part = self._checkpoint.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**state, "done": self.done}, part)
        part.replace(self._checkpoint)

    def _resume(self, state: dict[str, Any]) -> None:
        for name in ("net", "average", "beside", "_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.done = state["done"]


def rate_factor(done: int, passed: float, cooling: float) -> float:
    """Return the factor of the learning rate after `done` steps in all and the share `passed` of this slice."""
    falling = (1 - passed) / cooling if cooling else 1.0
    return min(1.0, (done + 1) / WARM_UP) * min(1.0, max(MIN_FACTOR, falling))
