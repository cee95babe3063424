"""Engines made in the background: what is said of them, and what happens when one cannot be made."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edged.inference.engine_builds import BuildStatus, EngineBuildService
from engines.build.progress import Progress
from engines.build.service import EngineBuilder
from engines.card import Card
from engines.catalogue import load
from engines.errors import BuildFailed, Cancelled

LEVEL = 3
NAMES = ("rtmpose-t-lsp14", "rtmpose-t-ap10k-horse")


class ScriptedBuilder:
    """A foundry that does as written: which proved engines are there, and how each model's build ends."""

    def __init__(self, there: tuple[str, ...] = (), builds: dict[str, Exception | None] | None = None) -> None:
        self.there = {(name, LEVEL) for name in there}
        self.builds = builds or {}
        self.forgotten: list[str] = []
        self.plans = SimpleNamespace(
            find=lambda name, key: (name, key.level) in self.there or None,
            forget=lambda name, key: self.forgotten.append(name),
        )
        self.last_attempt = lambda job: ("JetPack has changed", 400.0)
        self.hurries = True  # ends soon after it was told to
        self.proves = True
        self.under_way = threading.Event()
        self.hung = threading.Event()

    def job(self, card: Card, file: Path, *, level: int, **_: int) -> Any:
        return SimpleNamespace(card=card, key=SimpleNamespace(digest="abc", level=level))

    def usable(self, job: Any) -> tuple[Any, str]:
        good = (job.card.name, job.key.level) in self.there and self.proves
        return (SimpleNamespace() if good else None), "" if good else "never proved"

    def build(self, job: Any, on_progress: Any, stop: threading.Event) -> None:
        on_progress(Progress(phase="tactics", share=0.5, left_s=7.0))
        end = self.builds.get(job.card.name)
        if isinstance(end, Cancelled):
            self.under_way.set()
            stop.wait(10)
            self.hung.wait(0 if self.hurries else 10)
        if end is not None:
            raise end
        self.there.add((job.card.name, job.key.level))


def build_service(
    script: ScriptedBuilder, names: tuple[str, ...] = NAMES, levels: tuple[int, ...] = (LEVEL,)
) -> tuple[EngineBuildService, list[tuple[str, int]]]:
    cards, ready = load(None), list[tuple[str, int]]()
    made = EngineBuildService(
        cast(EngineBuilder, script),
        {name: (cards[name], Path("x")) for name in names},
        lambda job, plan: ready.append((job.card.name, job.key.level)),
        levels=levels,
        workspace_mb=512,
    )
    return made, ready


def finished_service(
    script: ScriptedBuilder, levels: tuple[int, ...] = (LEVEL,)
) -> tuple[EngineBuildService, list[tuple[str, int]]]:
    made, ready = build_service(script, levels=levels)
    made.start()
    made._thread.join(10)
    return made, ready


def test_an_engine_that_is_there_and_proved_is_used_and_not_built() -> None:
    made, ready = finished_service(
        ScriptedBuilder(there=NAMES, builds=dict.fromkeys(NAMES, BuildFailed("not to be built")))
    )
    assert ready == [(name, LEVEL) for name in NAMES]
    assert made.statuses[NAMES[0]] == BuildStatus(phase="ready", key="abc")


def test_what_is_missing_is_built_and_then_used() -> None:
    _, ready = finished_service(ScriptedBuilder())
    assert ready == [(name, LEVEL) for name in NAMES]


def test_quick_engines_of_every_model_come_before_the_best_ones() -> None:
    _, ready = finished_service(ScriptedBuilder(), levels=(0, LEVEL))
    assert ready == [(name, level) for level in (0, LEVEL) for name in NAMES]


def test_no_quick_engine_is_built_where_the_best_is_there() -> None:
    _, ready = finished_service(ScriptedBuilder(there=NAMES[:1]), levels=(0, LEVEL))
    assert ready == [(NAMES[1], 0), (NAMES[0], LEVEL), (NAMES[1], LEVEL)]


def test_a_build_that_fails_is_said_and_the_next_model_has_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    made, ready = finished_service(ScriptedBuilder(builds={NAMES[0]: BuildFailed("no memory")}))
    assert (made.statuses[NAMES[0]].phase, made.statuses[NAMES[0]].reason, ready) == (
        "failed",
        "no memory",
        [(NAMES[1], LEVEL)],
    )
    assert "serving goes on as before" in caplog.text


def test_an_engine_that_cannot_be_proved_here_is_not_used() -> None:
    script = ScriptedBuilder()
    script.proves = False
    made, ready = finished_service(script)
    assert (made.statuses[NAMES[0]].phase, made.statuses[NAMES[0]].reason, ready) == ("unproved", "never proved", [])


def test_closing_ends_a_build_and_begins_no_other() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("told to")})
    made, ready = build_service(script)
    made.start()
    assert script.under_way.wait(10)
    assert made.statuses[NAMES[0]] == BuildStatus(
        phase="building", share=0.5, left_s=7.0, key="abc", because="JetPack has changed", last_s=400.0
    )
    made.close()
    assert (made._thread.is_alive(), ready, made.statuses[NAMES[1]].phase) == (False, [], "waiting")


def test_a_build_that_outlives_the_daemon_is_not_counted_against_the_model() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("told to")})
    script.hurries = False
    made, _ = build_service(script)
    made.start()
    assert script.under_way.wait(10)
    made.close()
    assert (made._thread.is_alive(), script.forgotten) == (True, [NAMES[0]])
    script.hung.set()
    made._thread.join(10)


def test_closing_forgets_no_failure_of_before() -> None:
    script = ScriptedBuilder(builds=dict.fromkeys(NAMES, BuildFailed("no memory")))
    made, _ = finished_service(script)
    made.close()
    assert script.forgotten == []
