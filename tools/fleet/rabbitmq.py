"""Three RabbitMQ nodes, to compare with: MQTT in TLS, users with rights of their own, quorum queues. Not shipped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tools.fleet.brokers import free_port
from tools.fleet.devices import READER
from tools.fleet.island import INSIDE, OUTSIDE, Island
from tools.fleet.nats import NatsCluster

BIN = Path("/usr/lib/rabbitmq/bin")
LIMIT_S, EPMD_S = 180.0, 10.0
CONFIG = """\
listeners.tcp.default = {host}:{amqp}
mqtt.listeners.tcp = none
mqtt.listeners.ssl.default = {host}:{mqtt}
mqtt.prefetch = 1000
mqtt.allow_anonymous = false
mqtt.durable_queue_type = quorum
mqtt.subscription_ttl = 86400000
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_none
cluster_formation.peer_discovery_backend = classic_config
{peers}
cluster_partition_handling = pause_minority
load_definitions = {folder}/definitions.json
log.file.level = warning
"""


class RabbitNode:
    """One node, at an address of this machine or of an island. `pid` is 0 while it does not run."""

    def __init__(self, folder: Path, number: int, epmd_port: int, host: str, island: Island | None = None) -> None:
        self.host, self.island, self._folder, self._epmd_port = host, island, folder, epmd_port
        self.label, self.name = f"edged{number}", f"edged{number}@{host}"
        self.mqtt_port, self._amqp_port, self._dist_port = free_port(), free_port(), free_port()
        self.store = folder / f"{self.label}-data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def environment(self) -> dict[str, str]:
        here = self._folder / self.label
        own = {
            "HOME": str(self._folder),
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self._amqp_port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONFIG_FILE": f"{here}.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.store),
            "RABBITMQ_LOG_BASE": f"{here}-log",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": self.host,
        }
        return {**os.environ, **own}

    def write(self, names: list[str]) -> None:
        rows = [f"cluster_formation.classic_config.nodes.{at} = {name}" for at, name in enumerate(names, 1)]
        text = CONFIG.format(
            host=self.host, amqp=self._amqp_port, mqtt=self.mqtt_port, folder=self._folder, peers="\n".join(rows)
        )
        (self._folder / f"{self.label}.conf").write_text(text)

    def start(self) -> None:
        with (self._folder / f"{self.label}.log").open("ab") as out:
            command = [*(self.island.prefix if self.island else []), str(BIN / "rabbitmq-server")]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env=self.environment)

    def wait(self) -> None:
        """Wait until it serves. Raises RuntimeError."""
        end_s = time.monotonic() + LIMIT_S
        while not self._serves():
            if self._process is None or self._process.poll() is not None or time.monotonic() > end_s:
                raise RuntimeError(f"{self.label} does not serve; see {self._folder}/{self.label}.log")
            time.sleep(0.1)

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.mqtt_port)) == 0

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the node: SIGKILL as a power cut would, SIGTERM as systemd does."""
        if self._process is not None:
            for process in self._all() if number == signal.SIGKILL else [self._process]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            self._process.wait(LIMIT_S)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        for process in self._all():
            process.send_signal(number)

    def _all(self) -> list[psutil.Process]:
        """Its script and Erlang's; the port mapper is all nodes'."""
        process = psutil.Process(self.pid)
        return [process, *(child for child in process.children(recursive=True) if child.name() != "epmd")]


class RabbitCluster:
    """Three nodes, with the authority of deploy/nats; the first one is on the `island`, if there is one."""

    topic = "edged/+/cam/#"
    disk_mb = 400  # it stops everybody below 50 MB of free disk
    ends_when_full = False

    def __init__(self, folder: Path, boxes: Mapping[str, str], island: Island | None = None) -> None:
        self.folder, self._epmd_port = folder, free_port()
        self.ca = NatsCluster(folder, nodes=0, hosts=[OUTSIDE, INSIDE] if island else []).ca
        hosts = [INSIDE, OUTSIDE, OUTSIDE] if island else ["127.0.0.1"] * 3
        self.nodes = [
            RabbitNode(folder, at + 1, self._epmd_port, host, island if at == 0 else None)
            for at, host in enumerate(hosts)
        ]
        for node in self.nodes:
            node.write([other.name for other in self.nodes])
        self.readers, self.box_nodes, self.reader_ca = self.nodes, self.nodes, self.ca
        cookie = folder / ".erlang.cookie"
        cookie.write_text("edged-fleet-of-a-test")
        cookie.chmod(0o400)
        (folder / "plugins").write_text("[rabbitmq_mqtt].")
        self._users({**boxes, **dict([READER])})

    def _users(self, passwords: Mapping[str, str]) -> None:
        """All users: a box writes below its own name only, and reads its own commands."""
        right = {"vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        topic = {"vhost": "/", "exchange": "amq.topic"}
        table = {
            "vhosts": [{"name": "/"}],
            "users": [{"name": name, "password": word, "tags": ""} for name, word in passwords.items()],
            "permissions": [{"user": name, **right} for name in passwords],
            "topic_permissions": [
                {"user": name, **topic, "write": rf"^edged\.{name}\.", "read": rf"^edged\.{name}\."}
                for name in passwords
                if name != READER[0]
            ],
        }
        (self.folder / "definitions.json").write_text(json.dumps(table))

    def start(self) -> None:
        for node in self.nodes:
            node.start()
            node.wait()  # one after the other: they form a cluster

    def wait(self) -> float:
        """Wait until all nodes serve and know one another. Returns how long that took, in s."""
        begin_s = time.monotonic()
        for node in self.nodes:
            node.wait()
        command = [str(BIN / "rabbitmqctl"), "-q", "await_online_nodes", str(len(self.nodes)), "-t", f"{LIMIT_S:.0f}"]
        here = self.nodes[-1].environment
        while subprocess.run(command, env=here, check=False, capture_output=True, timeout=LIMIT_S + 10).returncode:
            if time.monotonic() - begin_s > LIMIT_S:  # refused at first: it serves a moment before it counts as running
                raise RuntimeError(f"not all nodes know one another within {LIMIT_S:g} s; see {self.folder}/*.log")
            time.sleep(0.5)
        return time.monotonic() - begin_s

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
        islands = {node.host: node.island for node in self.nodes}
        for host, island in islands.items():
            end_s = time.monotonic() + EPMD_S
            while not self._epmd_ended(host, island) and time.monotonic() < end_s:
                time.sleep(0.5)

    def _epmd_ended(self, host: str, island: Island | None) -> bool:
        """Whether Erlang's port mapper, which the nodes started, has ended; it does not while it knows of one."""
        here = {**os.environ, "ERL_EPMD_PORT": str(self._epmd_port), "ERL_EPMD_ADDRESS": host}
        command = [*(island.prefix if island else []), "epmd", "-kill"]
        done = subprocess.run(command, env=here, capture_output=True, text=True, check=False, timeout=30)
        return "Killed" in done.stdout or "Cannot connect" in done.stdout + done.stderr
