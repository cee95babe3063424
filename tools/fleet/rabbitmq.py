"""Three RabbitMQ nodes on loopback, to compare with: MQTT in TLS, a user for each box, quorum queues. Not shipped."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import psutil

from tools.fleet.brokers import free_port
from tools.fleet.nats import NatsCluster

BIN = Path("/usr/lib/rabbitmq/bin")
LIMIT_S, EPMD_S = 180.0, 10.0
CONFIG = """\
listeners.tcp.default = 127.0.0.1:{amqp}
mqtt.listeners.tcp = none
mqtt.listeners.ssl.default = 127.0.0.1:{mqtt}
mqtt.allow_anonymous = false
mqtt.durable_queue_type = quorum
mqtt.subscription_ttl = 86400000
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_none
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = edged1@localhost
cluster_formation.classic_config.nodes.2 = edged2@localhost
cluster_formation.classic_config.nodes.3 = edged3@localhost
load_definitions = {folder}/definitions.json
log.file.level = warning
"""


class RabbitNode:
    """One node. `pid` is 0 while it does not run."""

    def __init__(self, folder: Path, number: int, epmd_port: int) -> None:
        self.host, self.name, self._folder, self._epmd_port = "127.0.0.1", f"edged{number}", folder, epmd_port
        self.mqtt_port, self._amqp_port, self._dist_port = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def environment(self) -> dict[str, str]:
        here = self._folder / self.name
        own = {
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_NODE_PORT": str(self._amqp_port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONFIG_FILE": f"{here}.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": f"{here}-data",
            "RABBITMQ_LOG_BASE": f"{here}-log",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        return {**os.environ, **own}

    def start(self) -> None:
        text = CONFIG.format(amqp=self._amqp_port, mqtt=self.mqtt_port, folder=self._folder)
        (self._folder / f"{self.name}.conf").write_text(text)
        with (self._folder / f"{self.name}.out").open("ab") as out:
            command = [str(BIN / "rabbitmq-server")]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env=self.environment)

    def wait(self) -> None:
        """Wait until it serves. Raises TimeoutExpired, CalledProcessError."""
        end_s = time.monotonic() + LIMIT_S
        command = [str(BIN / "rabbitmq-diagnostics"), "-q", "check_port_listener", str(self.mqtt_port)]
        while subprocess.run(
            command, env=self.environment, capture_output=True, check=False, timeout=LIMIT_S
        ).returncode:
            if time.monotonic() > end_s:
                raise RuntimeError(f"{self.name} does not serve; see {self._folder}/{self.name}.out")
            time.sleep(1)

    def kill(self) -> None:
        if self._process is not None:
            for process in [*psutil.Process(self._process.pid).children(recursive=True), self._process]:
                process.kill()
            self._process.wait(LIMIT_S)
            self._process = None


class RabbitCluster:
    """Three nodes, with the authority of deploy/nats."""

    topic = "edged/+/cam/#"

    def __init__(self, folder: Path) -> None:
        self.folder, self._epmd_port = folder, free_port()
        self.ca = NatsCluster(folder, nodes=0).ca
        self.nodes = [RabbitNode(folder, number + 1, self._epmd_port) for number in range(3)]
        self.readers, self.box_nodes, self.reader_ca = self.nodes, self.nodes, self.ca
        cookie = folder / ".erlang.cookie"
        cookie.write_text("edged-fleet-of-a-test")
        cookie.chmod(0o400)
        (folder / "plugins").write_text("[rabbitmq_mqtt].")

    def users(self, passwords: dict[str, str]) -> None:
        """All users, before the start."""
        right = {"vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        table = {
            "vhosts": [{"name": "/"}],
            "users": [{"name": name, "password": word, "tags": ""} for name, word in passwords.items()],
            "permissions": [{"user": name, **right} for name in passwords],
        }
        (self.folder / "definitions.json").write_text(json.dumps(table))

    def start(self) -> None:
        for node in self.nodes:
            node.start()
            node.wait()  # one after the other: they form a cluster

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
        end_s = time.monotonic() + EPMD_S
        while not self._epmd_ended() and time.monotonic() < end_s:
            time.sleep(0.5)

    def _epmd_ended(self) -> bool:
        """Whether Erlang's port mapper, which the nodes started, has ended; it does not while it knows of one."""
        here = {**os.environ, "ERL_EPMD_PORT": str(self._epmd_port)}
        done = subprocess.run(["epmd", "-kill"], env=here, capture_output=True, text=True, check=False, timeout=30)
        return "Killed" in done.stdout or "Cannot connect" in done.stdout + done.stderr
