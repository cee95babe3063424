"""Engines built in the background: their status, and what happens when one cannot be built or used."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edged.errors import CommandRejected, DeviceLost
from edged.inference.engine_builds import BuildStatus, EngineBuildService
from edged.runtime import threads
from engines.build.progress import Progress
from engines.build.service import EngineBuilder
from engines.card import Card
from engines.catalogue import load
from engines.errors import BuildFailed, Cancelled

LEVEL = 3
NAMES = ("rtmpose-t-lsp14", "rtmpose-t-ap10k-horse")


class ScriptedBuilder:
    """An engine builder by script: which tested engines are stored, and how each model's build ends."""

    def __init__(self, stored: tuple[str, ...] = (), builds: dict[str, Exception | None] | None = None) -> None:
        self.stored = {(name, LEVEL) for name in stored}
        self.builds = builds or {}
        self.forgotten: list[str] = []
        self.plans = SimpleNamespace(
            find=lambda name, key: (name, key.level) in self.stored or None,
            forget=lambda name, key: self.forgotten.append(name),
        )
        self.last_attempt = lambda job: ("JetPack has changed", 400.0)
        self.stops_at_once = True  # when a build is cancelled
        self.passes_selftest = True
        self.building = threading.Event()
        self.released = threading.Event()

    def job(self, card: Card, file: Path, *, level: int, **_: int) -> Any:
        return SimpleNamespace(card=card, key=SimpleNamespace(digest="abc", level=level))

    def usable(self, job: Any) -> tuple[Any, str]:
        good = (job.card.name, job.key.level) in self.stored and self.passes_selftest
        return (SimpleNamespace() if good else None), "" if good else "never proved"

    def build(self, job: Any, on_progress: Any, stop: threading.Event) -> None:
        on_progress(Progress(phase="tactics", share=0.5, left_s=7.0))
        end = self.builds.get(job.card.name)
        if isinstance(end, Cancelled):
            self.building.set()
            stop.wait(10)
            self.released.wait(0 if self.stops_at_once else 10)
        if end is not None:
            raise end
        self.stored.add((job.card.name, job.key.level))


Ready = list[tuple[str, int]]
TIMEOUT_S = 10.0


def started_service(
    script: ScriptedBuilder,
    *errors: Exception,
    levels: tuple[int, ...] = (LEVEL,),
) -> tuple[EngineBuildService, Ready]:
    """A started service, and what it offered to the daemon, which raises the given errors one by one at first."""
    cards, ready, pending = load(None), Ready(), list(errors)

    def on_ready(job: Any, engine: Any) -> None:
        if pending:
            raise pending.pop(0)
        ready.append((job.card.name, job.key.level))

    service = EngineBuildService(
        cast(EngineBuilder, script),
        {name: (cards[name], Path("x")) for name in NAMES},
        levels=levels,
        workspace_mb=512,
    )
    service.start(on_ready)
    return service, ready


def run_to_end(
    script: ScriptedBuilder, *errors: Exception, levels: tuple[int, ...] = (LEVEL,)
) -> tuple[EngineBuildService, Ready]:
    service, ready = started_service(script, *errors, levels=levels)
    assert service.join(TIMEOUT_S)
    return service, ready


def test_stored_engine_is_used_without_build() -> None:
    script = ScriptedBuilder(stored=NAMES, builds=dict.fromkeys(NAMES, BuildFailed("not to be built")))
    service, ready = run_to_end(script)
    assert ready == [(name, LEVEL) for name in NAMES]
    assert service.statuses[NAMES[0]] == BuildStatus(phase="ready", key="abc")


def test_missing_engines_are_built_and_used() -> None:
    _, ready = run_to_end(ScriptedBuilder())
    assert ready == [(name, LEVEL) for name in NAMES]


def test_quick_engines_of_all_models_precede_best_ones() -> None:
    _, ready = run_to_end(ScriptedBuilder(), levels=(0, LEVEL))
    assert ready == [(name, level) for level in (0, LEVEL) for name in NAMES]


def test_quick_engine_is_skipped_where_best_is_stored() -> None:
    _, ready = run_to_end(ScriptedBuilder(stored=NAMES[:1]), levels=(0, LEVEL))
    assert ready == [(NAMES[1], 0), (NAMES[0], LEVEL), (NAMES[1], LEVEL)]


def test_failed_build_is_reported_and_next_model_built(caplog: pytest.LogCaptureFixture) -> None:
    service, ready = run_to_end(ScriptedBuilder(builds={NAMES[0]: BuildFailed("no memory")}))
    assert service.statuses[NAMES[0]] == BuildStatus(phase="failed", reason="no memory")
    assert ready == [(NAMES[1], LEVEL)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_engine_that_fails_selftest_is_not_used() -> None:
    script = ScriptedBuilder()
    script.passes_selftest = False
    service, ready = run_to_end(script)
    assert service.statuses[NAMES[0]] == BuildStatus(phase="unverified", reason="never proved", key="abc")
    assert ready == []


def test_engine_rejected_by_busy_loop_is_offered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "RESTART_WAIT_S", 0.0)
    busy = CommandRejected("daemon", got="no time between two frames", wanted="some", do="send it again")
    service, ready = run_to_end(ScriptedBuilder(), busy, busy)
    assert ready == [(name, LEVEL) for name in NAMES]
    assert service.statuses[NAMES[0]].phase == "ready"


def test_bug_while_engine_is_taken_fails_that_model_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "RESTART_WAIT_S", 0.0)
    service, ready = run_to_end(ScriptedBuilder(), KeyError("a bug"))
    assert service.statuses[NAMES[0]] == BuildStatus(phase="failed", reason="KeyError: 'a bug'")
    assert ready == [(NAMES[1], LEVEL)]
    assert "thread engine-builds" in caplog.text


def test_lost_device_while_engine_is_taken_is_raised_in_loop() -> None:
    _, ready = run_to_end(ScriptedBuilder(), DeviceLost("CUDA: unknown error"))
    with pytest.raises(DeviceLost):
        threads.raise_fatal()
    assert ready == []


def test_close_cancels_build_and_begins_no_other() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("told to")})
    service, ready = started_service(script)
    assert script.building.wait(TIMEOUT_S)
    assert service.statuses[NAMES[0]] == BuildStatus(
        phase="building",
        progress=0.5,
        remaining_s=7.0,
        key="abc",
        rebuild_reason="JetPack has changed",
        previous_build_s=400.0,
    )
    service.close()
    assert service.join(0)
    assert (ready, service.statuses[NAMES[1]].phase) == ([], "waiting")


def test_build_that_outlives_close_does_not_count_as_attempt() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("told to")})
    script.stops_at_once = False
    service, _ = started_service(script)
    assert script.building.wait(TIMEOUT_S)
    service.close()
    assert not service.join(0)
    assert script.forgotten == [NAMES[0]]
    script.released.set()
    assert service.join(TIMEOUT_S)


def test_close_after_failed_builds_keeps_their_attempts() -> None:
    script = ScriptedBuilder(builds=dict.fromkeys(NAMES, BuildFailed("no memory")))
    service, _ = run_to_end(script)
    service.close()
    assert script.forgotten == []
