"""Unit tests have no thread, process or connection: one that begins them fails and belongs in tests/integration."""

from __future__ import annotations

import socket
import subprocess
import threading
from typing import Any, NoReturn

import pytest


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("a unit test has no thread, process or connection; move it to tests/integration")


@pytest.fixture(autouse=True)
def _no_thread_process_or_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", _refuse)
    monkeypatch.setattr(socket.socket, "connect", _refuse)
    monkeypatch.setattr(socket.socket, "bind", _refuse)
