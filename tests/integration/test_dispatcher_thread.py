"""The thread that executes commands."""

from __future__ import annotations

import threading
from typing import Any

from edged.control.dispatcher import CommandDispatcher, CommandResult
from edged.messages.build import device_status
from edged.messages.bus import Request
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS
from tests.support.waiting import LIMIT_S, until


def test_commands_are_executed_one_by_one_on_their_own_thread() -> None:
    go, threads = threading.Event(), []

    def wait(_: Any) -> CommandResult:
        threads.append(threading.current_thread().name)
        assert go.wait(LIMIT_S)
        return CommandResult()

    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    dispatcher = CommandDispatcher(bus, HEADERS, {"reload": wait}, ("reload",), root="edged/box/")
    dispatcher.start()
    for _ in range(2):
        bus.receive(Request(path="cmd/reload", payload=b"{}", retain=False))
    assert bus.messages_on("cmd/reload/result") == []
    go.set()
    until(lambda: len(bus.messages_on("cmd/reload/result")) == 2)
    dispatcher.close()
    assert threads == ["commands", "commands"]
