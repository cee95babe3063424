"""A NATS cluster of deploy/nats, as shipped, but on free loopback ports and in folders of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tools.fleet.brokers import free_port
from tools.fleet.island import INSIDE, OUTSIDE, Island

DEPLOY = Path(__file__).parents[2] / "deploy" / "nats"
LIMIT_S = 180.0  # a partition of 50 boxes took 34 s to heal on a busy machine
IDLE_S = 15.0  # then a queue that is not current counts as idle: NATS 2.9 may leave its copy behind until it is used
RELOADED = "Reloaded server configuration"


class NatsNode:
    """One node, at an address of this machine or of an island. `pid` is 0 while it does not run."""

    def __init__(self, folder: Path, number: int, host: str, island: Island | None = None) -> None:
        self.folder, self.name, self.host, self.island = folder, f"node-{number}", host, island
        self.mqtt_port, self.port, self.route_port, self.http_port = (free_port() for _ in range(4))
        self.store = folder / self.name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def address(self) -> str:
        """Where boxes connect."""
        return f"{self.host}:{self.mqtt_port}"

    @property
    def route(self) -> str:
        """Where the other nodes connect."""
        return f"nats-route://{self.host}:{self.route_port}"

    def write(self, routes: Sequence[str]) -> None:
        text = (DEPLOY / "nats.conf").read_text()
        for shipped, ours in {
            "include nats/node.conf": f"server_name: {self.name}\nhost: {self.host}",
            "include nats/edged/users.conf": "include users.conf",
            "/etc/nats/edged": str(self.folder),
            "/var/lib/nats": str(self.store),
            "port: 8883": f"host: {self.host}\n  port: {self.mqtt_port}",
            "port: 4222": f"port: {self.port}",
            "  port: 6222": f"  host: {self.host}\n  port: {self.route_port}",
            "127.0.0.1:8222": f"{self.host}:{self.http_port}",
        }.items():
            text = text.replace(shipped, ours)
        before, _, after = text.partition("  routes: [")
        ours = ", ".join(routes)
        (self.folder / f"{self.name}.conf").write_text(f"{before}  routes: [{ours}]{after.partition(']')[2]}")

    def start(self) -> None:
        command = [
            *(self.island.prefix if self.island else []),
            _binary(),
            "-c",
            str(self.folder / f"{self.name}.conf"),
        ]
        with (self.folder / f"{self.name}.log").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)

    def check_running(self) -> None:
        """Raises RuntimeError with its last words when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            words = (self.folder / f"{self.name}.log").read_text().strip().rpartition("\n")[2]
            raise RuntimeError(f"{self.name} has ended: {words}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the node: SIGKILL as a power cut would, SIGTERM as systemd does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(LIMIT_S)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP is a node that nobody reaches; SIGHUP reads the users again."""
        os.kill(self.pid, number)

    @property
    def healthy(self) -> bool:
        """Whether it has caught up with the others."""
        return not self.complaint

    @property
    def complaint(self) -> str:
        """What it says that it lacks; empty when it has caught up with the others."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.http_port}/healthz", timeout=2) as answer:
                return "" if answer.status == 200 else str(answer.status)
        except urllib.error.HTTPError as error:
            return error.read().decode(errors="replace").strip() or str(error)
        except OSError as error:
            return str(error)


class NatsCluster:
    """Three nodes whose `folder` stands for /etc/nats/edged; the first one is on the `island`, if there is one."""

    topic = "edged/+/cam/#"  # where a reader finds everything
    disk_mb = 24
    ends_when_full = True  # in a way: it stops keeping messages, and answers no SIGTERM

    def __init__(self, folder: Path, nodes: int = 3, island: Island | None = None, hosts: Sequence[str] = ()) -> None:
        """`hosts`: further ones, of which the nodes' certificate speaks."""
        self.folder = folder
        own = [INSIDE if island and number == 0 else OUTSIDE if island else "127.0.0.1" for number in range(nodes)]
        self.nodes = [
            NatsNode(folder, number + 1, host, island if number == 0 else None) for number, host in enumerate(own)
        ]
        self._boxes("init", ",".join(dict.fromkeys([*own, *hosts, "127.0.0.1", "localhost"])))
        for node in self.nodes:
            node.write([other.route for other in self.nodes])

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def reader_ca(self) -> Path:
        return self.ca

    @property
    def box_nodes(self) -> list[NatsNode]:
        return self.nodes

    @property
    def readers(self) -> list[NatsNode]:
        return self.nodes

    @property
    def addresses(self) -> list[str]:
        """Where boxes connect, node by node."""
        return [node.address for node in self.nodes]

    @property
    def ports(self) -> list[int]:
        return [node.mqtt_port for node in self.nodes]

    def add(self, device: str) -> str:
        """The provisioning file of a new box."""
        self._boxes("add", device)
        return (self.folder / f"{device}.toml").read_text()

    def person(self, name: str, password: str) -> None:
        self._boxes("person", name, typed=password)

    def remove(self, name: str) -> None:
        self._boxes("remove", name)

    def boxes(self, passwords: dict[str, str]) -> None:
        """Add many boxes; a person must follow."""
        with (self.folder / "box-passwords").open("a") as file:
            file.writelines(f"{name}:{password}\n" for name, password in passwords.items())

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        self.wait()

    def reload(self) -> None:
        """Reload users; returns when all nodes have."""
        logs = [self.folder / f"{node.name}.log" for node in self.nodes]
        before = [log.read_text().count(RELOADED) for log in logs]
        for node in self.nodes:
            node.signal(signal.SIGHUP)
        end_s = time.monotonic() + LIMIT_S
        while any(log.read_text().count(RELOADED) == was for log, was in zip(logs, before, strict=True)):
            if time.monotonic() > end_s:
                raise RuntimeError(f"not reloaded within {LIMIT_S:g} s; see {self.folder}/*.log")
            time.sleep(0.02)

    def wait(self) -> float:
        """Wait until all nodes are there and agree. Returns how long that took, in s."""
        begin_s = time.monotonic()
        while not all(self._agrees(node, time.monotonic() - begin_s) for node in self.nodes if node.pid):
            for node in self.nodes:
                node.check_running()
            if time.monotonic() - begin_s > LIMIT_S:
                said = "; ".join(f"{node.name}: {node.complaint or 'ok'}" for node in self.nodes if node.pid)
                raise RuntimeError(f"not healthy within {LIMIT_S:g} s: {said}; see {self.folder}/*.log")
            time.sleep(0.05)
        return time.monotonic() - begin_s

    def _agrees(self, node: NatsNode, waited_s: float) -> bool:
        complaint = node.complaint
        return not complaint or (waited_s > IDLE_S and "JetStream consumer" in complaint)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def _boxes(self, *arguments: str, typed: str = "") -> None:
        environment = {**os.environ, "BOXES_DIR": str(self.folder)}
        done = subprocess.run(
            ["sh", DEPLOY / "boxes", *arguments],
            cwd=self.folder,
            env=environment,
            input=f"{typed}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)


def _binary() -> str:
    path = shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        sys.exit("nats-server is not installed (apt-get install nats-server)")
    return path
