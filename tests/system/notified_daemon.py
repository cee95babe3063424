"""`edged run` with a test as its service manager, and network peers that do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path


class NotifiedDaemon:
    """Starts daemons whose notifications to systemd arrive here."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.state = folder  # the daemon's state directory
        self.notifications: list[str] = []
        self._socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._socket.bind(str(folder / "notify"))
        self._socket.setblocking(False)

    def silent_port(self) -> int:
        """A port that accepts connections and sends nothing."""
        return self._port(backlog=16)

    def unreachable_port(self) -> int:
        """A port that accepts no connection: its queue is full."""
        port = self._port(backlog=0)
        for _ in range(4):
            caller = self._stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        return port

    def configure(self, keys: str) -> None:
        state = f'device.state_dir = "{self.state}"\nmodels.store = "{self.state}/models"\n'
        (self._folder / "edged.toml").write_text(state + keys)

    def start(self, keys: str, *within: str, changed: str = "") -> subprocess.Popen[str]:
        """`within`: a command to run it through, such as a network namespace; `changed`: Python code to run first."""
        self.configure(keys)
        begin = f"{changed}\nfrom edged.__main__ import entry\nentry()"
        command = [sys.executable, "-c", begin, "run", "--config", str(self._folder / "edged.toml"), "--quiet"]
        env = {"NOTIFY_SOCKET": str(self._folder / "notify"), "WATCHDOG_USEC": "800000"}
        process = subprocess.Popen([*within, *command], stderr=subprocess.PIPE, text=True, env=env)
        self._stack.callback(process.kill)
        return process

    def has_notified(self, text: str) -> bool:
        """Whether a notification so far contains the text."""
        while True:
            try:
                self.notifications.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return any(text in notification for notification in self.notifications)

    def _port(self, backlog: int) -> int:
        peer = self._stack.enter_context(socket.socket())
        peer.bind(("127.0.0.1", 0))
        peer.listen(backlog)
        return int(peer.getsockname()[1])


def camera(source: object) -> str:
    return f'cameras.barn.source = "{source}"\ncameras.barn.loop = {str(not str(source).startswith("rtsp")).lower()}\n'


def broker(port: int) -> str:
    return f"mqtt.port = {port}\n"
