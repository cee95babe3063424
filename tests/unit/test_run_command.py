"""`edged run`: what a signal before the start does, and when `--for` ends after a restart in the same process."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edged.commands import run
from edged.config.tree import Config
from edged.errors import ConfigError


@pytest.fixture
def args(monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    monkeypatch.setattr(run, "set_up", lambda *_, **__: None)
    monkeypatch.setattr(run, "load_checked", lambda path: Config())
    monkeypatch.setattr(run, "_display", lambda *_: ())
    parser = argparse.ArgumentParser()
    run.arguments(parser)
    return parser.parse_args(["--quiet", "--for", "10", "--config", __file__])


def test_sighup_ends_nothing_while_the_configuration_is_read(
    args: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    def read(path: object) -> Config:
        found.append(signal.getsignal(signal.SIGHUP))
        raise ConfigError("wrong")

    monkeypatch.setattr(run, "load_checked", read)
    with pytest.raises(ConfigError, match="wrong"):
        run.run(args)
    assert callable(found[0])


def test_duration_goes_on_over_a_restart_in_the_same_process(
    args: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s, asked_s = iter([100.0, 104.0, 115.0]), list[float]()

    @contextmanager
    def stop_after(stop: object, after_s: float, may_end: object) -> Iterator[None]:
        asked_s.append(after_s)
        yield

    class Runner:
        def __init__(self, *_: object) -> None:
            self.reload: Callable[[], None] = lambda: None

        def run(self, config: Config, show: Callable[[Any, ExitStack], Any]) -> Any:
            daemon = SimpleNamespace(config=config)
            for _ in range(3):
                with ExitStack() as stack:
                    show(daemon, stack)
            return daemon

    monkeypatch.setattr(run, "stop_after", stop_after)
    monkeypatch.setattr(run, "DaemonRunner", Runner)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    assert run.run(args) == 0
    assert asked_s == [10.0, 6.0, 0.0]
