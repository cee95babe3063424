"""A daemon with the technician's page, on the demo clip: its site's files, its process, its address."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import until
from tools.fleet.brokers import free_port

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests-0123456789"
START_S = 400.0  # loading models on a busy machine
SITE = """\
[device]
id = "demo"
name = "Demo barn"
[panel]
enabled = true
port = {port}
[evidence]
enabled = true
before_s = 3
after_s = 3
[cameras.stall]
images = true
source = "{clip}"
loop = true
fps = 5
[cameras.stall.stall]
enabled = true
people = "poses"
[cameras.yard]
source = "{clip}"
loop = true
fps = 2
[profiles.night.cameras.stall]
alerts = false
"""


@dataclass
class PanelSite:
    """`folder` gets the site's files; the process starts with `start`."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        credentials = self.folder / "credentials"
        credentials.mkdir()
        (credentials / "panel.token").write_text(TOKEN)
        (self.folder / "edged.toml").write_text(SITE.format(port=self.port, clip=ROOT / "tools/demo/stall.mp4"))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def drawings(self) -> str:
        path = self.folder / "conf.d/60-panel.toml"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        command = [sys.executable, "-m", "edged", "run", "--config", str(self.folder), "--embedded-broker", "--quiet"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        until(self._answers, START_S)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_S)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            urllib.request.urlopen(self.address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True
