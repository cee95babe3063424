"""What systemd hears, on a socket as it gives one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.runtime.systemd import MAX_STATUS_CHARS, Notify, from_environment


class Systemd:
    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)

    @property
    def heard(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@edged-test-{os.getpid()}"
    systemd = Systemd(address)
    yield systemd
    systemd.close()


def test_each_message_is_one_datagram(systemd: Systemd) -> None:
    notify = Notify(systemd.address, watchdog_s=30)
    notify.ready()
    notify.feed_watchdog()
    notify.stopping()
    assert [systemd.heard, systemd.heard, systemd.heard] == [
        ["READY=1"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=stopping"],
    ]


def test_a_reload_says_when_it_began(systemd: Systemd) -> None:
    Notify(systemd.address).reloading()
    said, instant = systemd.heard
    assert said == "RELOADING=1"
    assert int(instant.removeprefix("MONOTONIC_USEC=")) > 0


def test_patience_lengthens_both_limits_and_takes_the_watchdog_back(systemd: Systemd) -> None:
    with Notify(systemd.address, watchdog_s=30).extend_timeout("loading", 120):
        assert systemd.heard == ["STATUS=loading", "EXTEND_TIMEOUT_USEC=120000000", "WATCHDOG_USEC=120000000"]
    assert systemd.heard == ["WATCHDOG_USEC=30000000", "WATCHDOG=1"]


def test_patience_without_a_watchdog_makes_none(systemd: Systemd) -> None:
    with Notify(systemd.address).extend_timeout("loading", 120):
        assert systemd.heard == ["STATUS=loading", "EXTEND_TIMEOUT_USEC=120000000"]
    with pytest.raises(BlockingIOError):
        _ = systemd.heard


def test_a_status_is_one_line_whatever_is_in_it(systemd: Systemd) -> None:
    Notify(systemd.address).status("lost:\nREADY=1 " + "x" * MAX_STATUS_CHARS)
    (said,) = systemd.heard
    assert said.startswith("STATUS=lost: READY=1 x")
    assert len(said) == len("STATUS=") + MAX_STATUS_CHARS


def test_nobody_listening_is_no_fault(tmp_path: Path) -> None:
    Notify().ready()
    Notify(str(tmp_path / "gone")).ready()


def test_a_systemd_that_does_not_read_holds_nobody_up(systemd: Systemd) -> None:
    notify = Notify(systemd.address)
    for _ in range(2000):  # a socket's queue is shorter
        notify.status("x" * MAX_STATUS_CHARS)


def test_the_environment_says_where_and_how_often() -> None:
    said = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    assert from_environment(said).watchdog_s == 30
    assert from_environment({**said, "WATCHDOG_PID": "1"}).watchdog_s is None
    assert from_environment({}).watchdog_s is None


def test_what_takes_root_is_asked_for_by_a_file(tmp_path: Path) -> None:
    from_environment({"RUNTIME_DIRECTORY": str(tmp_path)}).request_unit("reset-argus")
    assert [path.name for path in tmp_path.iterdir()] == ["reset-argus"]
    from_environment({"RUNTIME_DIRECTORY": str(tmp_path / "gone")}).request_unit("reset-argus")
    from_environment({}).request_unit("reset-argus")
