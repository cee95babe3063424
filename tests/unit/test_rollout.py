"""How a stage of a roll-out stands, by what devices say."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from edged.commands import rollout
from edged.commands.argument_types import percent
from edged.commands.rollout import Rollout, Site
from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost, ConfigError
from edged.provisioning.desired import Desired, seal
from edged.provisioning.rollout import Group

WANTED = Desired(group="barns", number=4)


def group() -> Group:
    """Devices of the group, online, that have followed message 3; one that is away, and one of another group."""
    made = Group("barns")
    for name in ("a", "b", "c", "d", "away"):
        made.update(name, "status", {"state": "offline" if name == "away" else "online"})
        made.update(name, "reported", {"group": "barns", "desired": 3, "applied": 3, "state": "applied"})
    made.update("foreign", "status", {"state": "online"})
    made.update("foreign", "reported", {"group": "yards", "desired": 9, "applied": 9, "state": "applied"})
    return made


def say(made: Group, name: str, state: str, *, applied: int = 4, **more: Any) -> None:
    made.update(name, "reported", {"group": "barns", "desired": 4, "applied": applied, "state": state, **more})


def test_devices_of_the_group_that_are_online_are_asked() -> None:
    made = group()
    assert made.begin() == {"a", "b", "c", "d"}
    assert made.last_number == 3


def test_what_devices_answer_and_who_is_late() -> None:
    made = group()
    asked = made.begin()
    say(made, "a", "applied")
    say(made, "b", "failed", applied=3, reason="no room")
    say(made, "c", "waiting", applied=3)  # it has not read it again since its restart
    early, late = (made.verdict(WANTED, asked, late=late) for late in (False, True))
    assert (set(early.done), dict(early.problems), set(early.waiting)) == ({"a"}, {"b": "no room"}, {"c", "d"})
    made.update("d", "status", {"state": "offline"})
    late = made.verdict(WANTED, asked, late=True)
    assert late.problems == {"b": "no room", "c": "still waiting", "d": "offline"}
    assert not late.waiting


def test_new_kind_of_problem_in_health_counts_and_an_old_one_does_not() -> None:
    made = group()
    old, new = {"code": "disk-nearly-full", "source": "device"}, {"code": "camera-lost", "source": "a"}
    made.update("a", "health", {"problems": [old]})
    asked = made.begin()
    for name in ("a", "b"):
        say(made, name, "applied")
        made.update(name, "health", {"problems": [old] if name == "a" else [new, "?"]})
    found = made.verdict(WANTED, asked, late=False)
    assert (set(found.done), dict(found.problems)) == ({"a"}, {"b": "health: camera-lost"})


def test_only_devices_of_the_share_are_concerned_and_too_many_problems_stop() -> None:
    made = group()
    asked = made.begin()
    assert not made.verdict(WANTED.model_copy(update={"share": 0}), asked, late=True).concerned
    say(made, "a", "failed")
    verdict = made.verdict(WANTED, asked, late=False)
    assert (verdict.exceeds(24), verdict.exceeds(25)) == (True, False)


class Again(Exception):
    """A second connection is used."""


class Node:
    """A connection to a broker of which only the nodes `up` answer; the first connection ends at once."""

    up: ClassVar[set[str]] = set()
    opened: ClassVar[list[str]] = []

    def __init__(self, node: MqttConfig, version: str, **callbacks: Any) -> None:
        self.host, self.subscribed = node.host, callbacks["on_subscribed"]

    def open(self) -> None:
        self.opened.append(self.host)
        if self.host not in self.up:
            raise BrokerLost("refused")

    def subscribe(self, topic: str, *, as_published: bool) -> None:
        self.subscribed(topic, None)

    def poll(self, seconds: float) -> None:
        raise BrokerLost("ended") if self.opened.count(self.host) == 1 else Again

    def abandon(self) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in (("MqttConnection", Node), ("POLL_S", 0.001)):
        monkeypatch.setattr(rollout, name, value)
    monkeypatch.setattr(Node, "up", {"a"})
    monkeypatch.setattr(Node, "opened", [])
    return Site(MqttConfig(host="a", hosts=("b",)), "barns")


def test_connection_that_ends_is_opened_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()
    with pytest.raises(Again):
        site.poll(60.0)
    Node.up.clear()
    site.close()
    monkeypatch.setattr(rollout, "LOST_S", -1.0)
    with pytest.raises(BrokerLost):
        site.poll(60.0)


def test_number_that_one_device_claims_uses_up_few(monkeypatch: pytest.MonkeyPatch) -> None:
    made, published = group(), list[int]()
    made.update("a", "reported", {"group": "barns", "desired": 1 << 53})
    fake: Any = SimpleNamespace(group=made, retained_number=7, publish=published.append)
    fake.read_retained = fake.poll = lambda *_: None
    monkeypatch.setattr(rollout, "seal", lambda desired, key: desired.number)
    said = list[str]()
    assert Rollout(fake, WANTED, Path("key"), stop_at=0, wait_s=1, watch_s=1).run([0.0], said.append)
    assert published == [7 + rollout.MAX_AHEAD + 1]
    assert "wanted: version any; settings of the fleet: none" in said  # which takes those of before away


def test_share_and_size_that_nothing_could_mean_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("nan", "-1", "101"):
        with pytest.raises(argparse.ArgumentTypeError):
            percent(text)
    monkeypatch.setattr("edged.provisioning.desired.sign", lambda *_: "")
    assert seal(WANTED.model_copy(update={"configuration": "ä" * 20_000}), Path("key"))
    with pytest.raises(ConfigError, match="187 kB, want at most 128;"):
        seal(WANTED.model_copy(update={"configuration": "\n\n" * 32_000}), Path("key"))
