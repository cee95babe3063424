"""A broker inside the test's process, a client that hears all of it, and `edged` in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.__main__ import main
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.models import starter_models_opened_once
from tests.support.mqtt import Listener, MQTTv311
from tests.support.recorded import Command, Done


@pytest.fixture(scope="session", autouse=True)
def _starter_models_opened_once() -> Iterator[None]:
    with starter_models_opened_once():
        yield


@pytest.fixture
def edged(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run a command in this process; also what libraries print past Python is in its output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # `edged run` sets its own

    def run(*arguments: str | Path | float) -> Done:
        capfd.readouterr()
        try:
            code = main([*map(str, arguments)])
        except SystemExit as exit_:
            code = int(str(exit_.code))
        out, err = capfd.readouterr()
        assert "Traceback" not in err, err
        return Done([*map(str, arguments)], code, out, err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def listener(broker: EmbeddedBroker) -> Iterator[Listener]:
    listener = Listener(broker.port, version=MQTTv311)
    yield listener
    listener.close()
