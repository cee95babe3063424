"""One daemon after the other: nothing that was asked for meanwhile is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edged.app import DaemonRunner
from edged.commands.run import SOURCE_NAME, _is_seen
from edged.config.tree import Config
from edged.daemon import Options
from edged.errors import StateInUse
from edged.runtime.systemd import Notify

FIRST, SECOND = (Config.model_validate({"device": {"name": name}}) for name in ("first", "second"))


class RecordedDaemon:
    """A daemon, and the dispatcher that it has, which record what they are asked for."""

    def __init__(self, next_config: Config | None) -> None:
        self.next_config = next_config
        self.reloads = 0
        self.taken_over: list[Any] = []
        self.parts = self.dispatcher = self

    def reload(self) -> None:
        self.reloads += 1

    def take_over(self, before: Any) -> None:
        self.taken_over.append(before)

    def run(self, *_: object) -> None: ...


class Runs:
    """A runner of recorded daemons; `starting` is called while one starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *nexts: Config | None) -> None:
        self.daemons: list[RecordedDaemon] = []
        self.configs: list[Config] = []
        self.starting: Callable[[], None] = lambda: None
        self._nexts = iter(nexts)
        self.runner = DaemonRunner(lambda _: Options(), threading.Event(), Notify())
        monkeypatch.setattr("edged.app.started_daemon", self._started)
        monkeypatch.setattr("edged.app.freeze_gc", lambda: None)

    @contextmanager
    def _started(self, config: Config, _: Options) -> Iterator[Any]:
        self.configs.append(config)
        self.starting()
        self.daemons.append(RecordedDaemon(next(self._nexts)))
        yield self.daemons[-1]

    def run(self) -> None:
        self.runner.run(FIRST, lambda *_: ())


def test_reload_asked_for_while_the_first_daemon_starts_is_done_once_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, None)
    runs.starting = runs.runner.reload
    runs.run()
    assert runs.daemons[0].reloads == 1


def test_next_daemon_takes_over_what_waited_at_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, SECOND, None)
    runs.run()
    before, after = runs.daemons
    assert (before.taken_over, after.taken_over) == ([], [before])


def test_daemon_before_runs_again_where_the_next_state_directory_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, SECOND, None)

    def refuse() -> None:
        if len(runs.configs) == 2:
            raise StateInUse("in use")

    runs.starting = refuse
    runs.run()
    assert runs.configs == [FIRST, SECOND, FIRST]


@pytest.mark.parametrize(("counts", "is_seen"), [((0, 0), False), ((1, 0), True), ((0, 1), True)])
def test_file_is_seen_once_a_frame_of_it_is_done_or_has_failed(counts: tuple[int, int], is_seen: bool) -> None:
    config = Config.model_validate({"cameras": {SOURCE_NAME: {"source": "a.mp4"}}})
    camera = SimpleNamespace(counts=SimpleNamespace(processed=counts[0], failed=counts[1]))
    daemon: Any = SimpleNamespace(config=config, cameras=lambda: {SOURCE_NAME: camera})
    args: Any = SimpleNamespace(source="a.mp4")
    assert _is_seen(args, daemon) is is_seen
