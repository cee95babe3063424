"""Three NATS nodes as shipped: rights, and a node that fails while devices publish."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.config.layers import file_layer
from tests.support.mqtt import MQTTv311
from tests.support.waiting import until
from tests.system.rights import ALL, EAST, PEOPLE, RIGHTS, WEST, Role, written
from tools.fleet.brokers import EPHEMERAL
from tools.fleet.cluster import Pace, run
from tools.fleet.devices import passwords
from tools.fleet.faults import killed
from tools.fleet.kinds import cluster_for
from tools.fleet.nats import NatsCluster

pytestmark = pytest.mark.skipif(
    shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin") is None,
    reason="nats-server is not installed (apt-get install nats-server)",
)
DEVICES = 20
HERE = {topic for topic in ALL if topic.startswith(("edged/", "homeassistant/"))}  # no bridged sites


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    with cluster_for(DEVICES) as cluster:
        assert isinstance(cluster, NatsCluster)
        yield cluster


def test_every_role_writes_and_reads_what_it_may_and_nothing_else(cluster: NatsCluster) -> None:
    file = cluster.folder / "people.acl"
    rights = 'allowed_connection_types: ["MQTT"], permissions: {publish: ">", subscribe: ">"}'
    file.write_text(f"{file.read_text()}\nuser all\n{rights}\n")
    east = file_layer(Path("east.toml"), cluster.add(EAST)).values["mqtt"]
    assert (east["host"], east["hosts"], east["username"]) == ("127.0.0.1", ["localhost"], EAST)
    cluster.boxes({WEST: "w-secret"})
    logins = {"all": "a-secret", EAST: east["password"], WEST: "w-secret", **PEOPLE}
    for name in ("all", *PEOPLE):
        cluster.person(name, logins[name])
    cluster.reload()
    tls = ssl.create_default_context(cafile=cluster.ca)
    roles = {}
    for index, (name, password) in enumerate(logins.items()):
        port = cluster.ports[index % len(cluster.ports)]
        roles[name] = Role(port, tls, (name, password), topics=sorted(ALL), version=MQTTv311, qos=0)
    try:
        assert written(roles) == {name: right[1] & HERE for name, right in RIGHTS.items()}
        for name, (reads, _) in RIGHTS.items():
            until(lambda name=name, reads=reads: roles[name].topics("all") >= reads & HERE)  # type: ignore[misc]
        assert {name: roles[name].topics("all") for name in RIGHTS} == {
            name: right[0] & HERE for name, right in RIGHTS.items()
        }
    finally:
        for role in roles.values():
            role.close()


def test_person_without_a_password_or_rights_is_no_user(tmp_path: Path) -> None:
    cluster = NatsCluster(tmp_path, nodes=0)
    with pytest.raises(RuntimeError, match="the password is empty"):
        cluster.person("operator", "")
    cluster.person("operator", "a-secret")
    assert "operator" in (tmp_path / "users.conf").read_text()
    (tmp_path / "people.acl").write_text("user operator\n# none any more\n")
    cluster.add("box-1")
    users = (tmp_path / "users.conf").read_text()
    assert "box-1" in users
    assert "operator" not in users


def test_removed_box_is_not_let_in(cluster: NatsCluster) -> None:
    name, password = next(iter(passwords(1).items()))
    tls = ssl.create_default_context(cafile=cluster.ca)
    role = Role(cluster.ports[0], tls, (name, password), topics=["x"], version=MQTTv311, qos=0)
    role.close()
    assert role.refusal is None
    cluster.remove(name)
    cluster.reload()
    role = Role(cluster.ports[0], tls, (name, password), topics=["x"], version=MQTTv311, qos=0)
    role.close()
    cluster.boxes({name: password})
    cluster.person(*next(iter(PEOPLE.items())))
    cluster.reload()
    assert role.refusal == "Not authorized"


def test_no_state_is_lost_when_a_node_is_killed(cluster: NatsCluster) -> None:
    """Some may come later than a newer one: NATS delivers again what was not acknowledged."""
    outcome = run(cluster, DEVICES, Pace(rate_hz=5, seconds=5), killed)
    assert outcome.lost[1] == 0
    assert outcome.states > 0


def test_node_whose_port_is_taken_is_told_at_once_and_no_connection_takes_one(tmp_path: Path) -> None:
    cluster = NatsCluster(tmp_path, nodes=1)
    cluster.person("operator", "secret")
    node = cluster.nodes[0]
    ephemeral = int(EPHEMERAL.read_text().split()[0])
    assert max(node.mqtt_port, node.port, node.route_port, node.http_port) < ephemeral
    with socket.create_server(("127.0.0.1", node.mqtt_port)):
        try:
            with pytest.raises(RuntimeError, match=r"node-1 has ended: .*address already in use"):
                cluster.start()
        finally:
            cluster.kill()
