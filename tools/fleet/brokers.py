"""The brokers of deploy/mosquitto, as shipped, but on free loopback ports and in folders of their own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tools.fleet.island import Island

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"
ETC = "/etc/mosquitto/edged"
BOXES, PEOPLE, PASSWORDS = 8883, 8884, 8885  # ports as shipped
LIMIT_S = 20.0
FIRST_PORT, EPHEMERAL = 10_000, Path("/proc/sys/net/ipv4/ip_local_port_range")
POSES = "topic +/cam/+/poses"


class Broker:
    """A mosquitto whose `folder` stands for /etc/mosquitto/edged, at an address of this machine or of an island."""

    def __init__(
        self, folder: Path, acl: str = "acl", *, host: str = "127.0.0.1", island: Island | None = None
    ) -> None:
        self.folder, self.host, self.island = folder, host, island
        self.store = folder  # of its persistence
        self.boxes_port, self.people_port, self.passwords_port = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._more = ""
        self.extra = ""  # lines of its configuration
        self._enrol("init", host, str(DEPLOY / acl))

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def add(self, device: str, *how: str) -> str:
        """The provisioning file of a new box."""
        self._enrol("add", device, *how)
        return self._provisioning_file(device)

    def renew(self, device: str) -> str:
        """The provisioning file of a box with another certificate."""
        self._enrol("renew", device)
        return self._provisioning_file(device)

    def _provisioning_file(self, device: str) -> str:
        file = self.folder / f"{device}.toml"
        text = file.read_text()
        file.unlink()
        for shipped, ours in ((BOXES, self.boxes_port), (PASSWORDS, self.passwords_port)):
            text = text.replace(f"port = {shipped}", f"port = {ours}")
        return text

    def remove(self, name: str) -> None:
        self._enrol("remove", name)

    def people(self, passwords: dict[str, str]) -> None:
        """Set the passwords of people."""
        self._set_passwords("passwords", passwords)

    def boxes(self, passwords: dict[str, str]) -> None:
        """Set the passwords of boxes that have no certificate."""
        self._set_passwords("box-passwords", passwords)

    def _set_passwords(self, name: str, passwords: dict[str, str]) -> None:
        written = self.folder / name
        with written.open("a") as file:
            file.writelines(f"{name}:{password}\n" for name, password in passwords.items())
        subprocess.run([_binary("mosquitto_passwd"), "-U", written], check=True, timeout=60)

    def bridge(self, central: Broker, site: str, *, port: int = 0, poses: bool = False) -> None:
        """Bridge this broker to a central one as `site`, from the next start on; `port`: of a relay to it."""
        central._enrol("site", site, str(self.folder))
        text = (DEPLOY / "bridge.conf").read_text().replace(ETC, str(self.folder)).replace("site42", site)
        text = text.replace("central.example:8883", f"{central.host}:{port or central.boxes_port}")
        self._more = text.replace(f"#{POSES}", POSES) if poses else text

    def start(self) -> None:
        conf = (DEPLOY / "edged.conf").read_text().replace(ETC, str(self.folder))
        conf = conf.replace(f"listener {BOXES}", f"listener {self.boxes_port} {self.host}")
        conf = conf.replace(f"listener {PEOPLE}", f"listener {self.people_port} {self.host}")
        conf = conf.replace(f"listener {PASSWORDS}", f"listener {self.passwords_port} {self.host}")
        here = f"persistence_location {self.store}/\n" + ("user root\n" if os.geteuid() == 0 else "")
        file = self.folder / "mosquitto.conf"
        file.write_text(f"per_listener_settings true\n{here}{conf}{self._more}\n{self.extra}\n")
        with (self.folder / "mosquitto.log").open("ab") as out:
            command = [*(self.island.prefix if self.island else []), _binary("mosquitto"), "-c", str(file)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        wait_for(self.passwords_port, self.host)

    def reload(self) -> None:
        """Reload passwords, rights and revoked certificates."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop with SIGTERM, as systemd does."""
        if self._process is not None:
            self._process.terminate()
            self._wait()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._wait()

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(LIMIT_S)
            self._process = None

    def _enrol(self, *arguments: str) -> str:
        environment = {**os.environ, "BOXES_DIR": str(self.folder)}
        command = ["sh", str(DEPLOY / "boxes"), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout


def free_port() -> int:
    """A port of no server, below those that connections get by themselves.

    A connection that had got it would keep a server from starting, also from coming back.
    """
    below = range(FIRST_PORT, int(EPHEMERAL.read_text().split()[0]))
    while True:
        port = random.choice(below or range(FIRST_PORT, 1 << 16))  # noqa: S311  no secret; where all are theirs, any
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _binary(name: str) -> str:
    path = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        sys.exit(f"{name} is not installed (apt-get install mosquitto)")
    return path


def wait_for(port: int, host: str = "127.0.0.1") -> None:
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"mosquitto does not listen on port {port}; see mosquitto.log")
