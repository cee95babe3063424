"""The shipped rights on a real mosquitto: every role tries every topic, to write and to read."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import until
from tests.system.rights import EAST, PEOPLE, RIGHTS, WEST, Role, written
from tools.fleet.brokers import Broker, free_port, wait_for


def certificate(site: Broker, folder: Path) -> ssl.SSLContext:
    """The context of a client with the certificate of the box EAST."""
    text = site.add(EAST)
    begin, end = text.index("-----BEGIN PRIVATE"), text.index("-----END PRIVATE KEY-----") + 25
    (folder / "key").write_text(text[begin:end])
    (folder / "cert").write_text(text.split('cert = """\n')[1].split('"""')[0])
    context = ssl.create_default_context(cafile=site.ca)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.fixture
def site(mosquitto_binary: str, tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "edged").mkdir()
    broker = Broker(tmp_path / "edged")
    broker.people(PEOPLE)
    broker.boxes({WEST: "w-secret"})
    broker.extra = f"listener {free_port()} 127.0.0.1\nallow_anonymous true"  # without rights: sees and writes all
    yield broker
    broker.kill()


@pytest.fixture
def roles(site: Broker, tmp_path: Path) -> Iterator[dict[str, Role]]:
    """Everybody who is let in, and `all`, whom nothing is refused."""
    tls = ssl.create_default_context(cafile=site.ca)
    box = certificate(site, tmp_path)
    site.start()
    wait_for(int(site.extra.split()[1]))
    found = {"all": Role(int(site.extra.split()[1]))}
    found[EAST] = Role(site.boxes_port, box)
    found[WEST] = Role(site.passwords_port, tls, (WEST, "w-secret"))
    for name, password in PEOPLE.items():
        found[name] = Role(site.people_port, tls, (name, password))
    yield found
    for role in found.values():
        role.close()


def test_every_role_writes_and_reads_what_it_may_and_nothing_else(roles: dict[str, Role]) -> None:
    assert written(roles) == {name: writes for name, (_, writes) in RIGHTS.items()}
    for name, (reads, _) in RIGHTS.items():
        marker = f"edged/{name}/end"  # the broker sends in order
        roles["all"].write(marker, "marker")
        until(lambda role=roles[name]: role.topics("marker"))  # type: ignore[misc]
        assert roles[name].topics("all") == reads, name
    own = {name for name in RIGHTS if any(topic.startswith("$SYS") for topic, _ in roles[name].heard)}
    assert own <= {"operator"}


@pytest.mark.parametrize(
    ("port", "login"),
    [
        ("passwords_port", ("reader", "r-secret")),
        ("people_port", (WEST, "w-secret")),
        ("passwords_port", None),
        ("people_port", None),
        ("people_port", ("reader", "w-secret")),
    ],
    ids=["person as a box", "box as a person", "nobody as a box", "nobody", "wrong password"],
)
def test_listener_lets_in_its_own_clients_alone(site: Broker, port: str, login: tuple[str, str] | None) -> None:
    site.start()
    role = Role(getattr(site, port), ssl.create_default_context(cafile=site.ca), login)
    role.close()
    assert role.refusal == "Not authorized"
