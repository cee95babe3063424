"""What systemd receives, on a socket like its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.runtime.systemd import MAX_STATUS_CHARS, Notify, from_environment

LIMIT_S = 10.0


class Systemd:
    """Stands for systemd, and is found as it is."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}

    def notify(self, **environ: str) -> Notify:
        return from_environment({**self.environ, **environ})

    @property
    def received(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@edged-test-{os.getpid()}"
    systemd = Systemd(address)
    yield systemd
    systemd.close()


def test_each_notification_is_one_datagram(systemd: Systemd) -> None:
    notify = systemd.notify()
    notify.ready()
    notify.feed_watchdog()
    notify.stopping()
    assert [systemd.received for _ in range(3)] == [["READY=1"], ["WATCHDOG=1"], ["STOPPING=1", "STATUS=stopping"]]


def test_reload_has_the_time_of_its_begin(systemd: Systemd) -> None:
    systemd.notify().reloading()
    state, begin = systemd.received
    assert state == "RELOADING=1"
    assert int(begin.removeprefix("MONOTONIC_USEC=")) > 0


def test_extended_timeout_is_for_start_and_watchdog_and_is_taken_back(systemd: Systemd) -> None:
    with systemd.notify().extend_timeout("loading", 120):
        assert systemd.received == ["STATUS=loading", "EXTEND_TIMEOUT_USEC=120000000", "WATCHDOG_USEC=120000000"]
    assert systemd.received == ["WATCHDOG_USEC=30000000", "WATCHDOG=1"]


def test_extended_timeout_without_a_watchdog_makes_none(systemd: Systemd) -> None:
    with systemd.notify(WATCHDOG_USEC="0").extend_timeout("loading", 120):
        assert systemd.received == ["STATUS=loading", "EXTEND_TIMEOUT_USEC=120000000"]
    with pytest.raises(BlockingIOError):
        _ = systemd.received


def test_status_is_one_line_of_bounded_length(systemd: Systemd) -> None:
    systemd.notify().status("lost:\nREADY=1 " + "x" * MAX_STATUS_CHARS)
    (status,) = systemd.received
    assert status.startswith("STATUS=lost: READY=1 x")
    assert len(status) == len("STATUS=") + MAX_STATUS_CHARS


def test_missing_socket_is_ignored(tmp_path: Path) -> None:
    from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_watchdog_of_another_process_is_ignored(systemd: Systemd) -> None:
    assert systemd.notify().watchdog_s == 30
    assert systemd.notify(WATCHDOG_PID="1").watchdog_s is None


def test_without_systemd_nothing_is_notified() -> None:
    notify = from_environment({})
    notify.ready()
    assert notify.watchdog_s is None


def test_unread_notification_does_not_block(systemd: Systemd) -> None:
    notify, start_s = systemd.notify(), time.monotonic()
    for _ in range(2000):  # its queue is shorter
        notify.status("x" * MAX_STATUS_CHARS)
    notify.stopping()
    assert time.monotonic() - start_s < LIMIT_S


def test_unit_is_requested_by_a_file(systemd: Systemd, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    systemd.notify(RUNTIME_DIRECTORY=str(folder)).request_unit("reset-argus")
    assert [path.name for path in folder.iterdir()] == ["reset-argus"]
    systemd.notify(RUNTIME_DIRECTORY=str(tmp_path / "gone")).request_unit("reset-argus")
    systemd.notify().request_unit("reset-argus")
