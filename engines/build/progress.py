"""Progress of a build from TensorRT's phases, and its remaining time from an earlier build. Pure.

TensorRT's phases nest, their names change between versions, and some end early: so progress is the share of
each level's steps, never goes back, and reaches 1 only with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_SHARE = 0.99  # that is shown before the engine is there
MIN_SHARE = 0.05  # from which the time left is told by the share done


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a build stands."""

    phase: str
    share: float  # 0..1, never falling
    left_s: float | None  # None: not known yet


@dataclass(slots=True)
class _BuildStep:
    parent: str | None
    steps: int
    done: int = 0
    inner: float = 0.0  # share of the step that runs now


@dataclass(slots=True)
class Estimate:
    """`usual_s` is how long the same build took before, if it ever ran."""

    usual_s: float | None = None
    _phases: dict[str, _BuildStep] = field(default_factory=dict)
    _share: float = 0.0
    _top: str | None = None

    def start(self, name: str, parent: str | None, steps: int) -> None:
        self._phases[name] = _BuildStep(parent, max(1, steps))
        if parent is None or self._top is None:
            self._top = name

    def step(self, name: str, step: int) -> None:
        """`step` is the number of the one just ended, from 0."""
        if phase := self._phases.get(name):
            phase.done, phase.inner = max(phase.done, step + 1), 0.0
            self._raise(name)

    def finish(self, name: str) -> None:
        phase = self._phases.pop(name, None)
        if phase is not None and phase.parent in self._phases:
            self._phases[phase.parent].inner = 1.0
            self._raise(phase.parent)

    def now(self, passed_s: float) -> Progress:
        """By the clock of a former build where there is one, else by the phases."""
        share = self._share
        if self.usual_s:
            share = max(share, min(MAX_SHARE, passed_s / self.usual_s))
            left_s: float | None = max(0.0, self.usual_s - passed_s)
        else:
            left_s = passed_s * (1 - share) / share if share > MIN_SHARE else None
        return Progress(phase=next(reversed(self._phases), "starting"), share=share, left_s=left_s)

    def _raise(self, name: str) -> None:
        """Hand a phase's share up to those around it."""
        at: str | None = name
        while at is not None and (phase := self._phases.get(at)) is not None:
            share = min(1.0, (phase.done + phase.inner) / phase.steps)
            if phase.parent in self._phases:
                self._phases[phase.parent].inner = max(self._phases[phase.parent].inner, share)
            elif at == self._top:
                self._share = max(self._share, min(MAX_SHARE, share))
            at = phase.parent
