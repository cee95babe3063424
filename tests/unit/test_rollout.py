"""How a stage of a roll-out stands, by what devices say."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from edged.commands import rollout
from edged.commands.argument_types import percent
from edged.commands.rollout import BrokerView, Rollout
from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost, ConfigError, NotTrusted
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.send_queue import OutgoingMessage
from edged.provisioning.desired import Desired, seal
from edged.provisioning.rollout import Group

WANTED = Desired(group="barns", number=4)


def group() -> Group:
    """Devices of the group, online, that have followed message 3; one that is away, and one of another group."""
    made = Group("barns")
    for name in ("a", "b", "c", "d", "away"):
        made.update(name, "status", {"state": "offline" if name == "away" else "online"})
        made.update(name, "reported", {"group": "barns", "desired_number": 3, "applied_number": 3, "state": "applied"})
    made.update("foreign", "status", {"state": "online"})
    made.update("foreign", "reported", {"group": "yards", "desired_number": 9, "applied_number": 9, "state": "applied"})
    return made


def say(made: Group, name: str, state: str, *, applied: int = 4, **more: Any) -> None:
    numbers = {"desired_number": 4, "applied_number": applied}
    made.update(name, "reported", {"group": "barns", **numbers, "state": state, **more})


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


def test_device_that_left_the_group_is_a_problem_whatever_its_number() -> None:
    made = group()
    asked = made.begin()
    for name in ("a", "b", "c"):
        say(made, name, "applied")
    made.update("d", "reported", {"group": "yards", "desired_number": 4, "applied_number": 4, "state": "applied"})
    found = made.verdict(WANTED, asked, late=False)
    assert (set(found.done), dict(found.problems)) == ({"a", "b", "c"}, {"d": "has left the group"})


def test_only_devices_of_the_share_are_concerned_and_too_many_problems_stop() -> None:
    made = group()
    asked = made.begin()
    assert not made.verdict(WANTED.model_copy(update={"share_percent": 0}), asked, late=True).concerned
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
def site(monkeypatch: pytest.MonkeyPatch) -> BrokerView:
    for name, value in (("MqttConnection", Node), ("POLL_S", 0.001)):
        monkeypatch.setattr(rollout, name, value)
    monkeypatch.setattr(Node, "up", {"a"})
    monkeypatch.setattr(Node, "opened", [])
    return BrokerView(MqttConfig(host="a", hosts=("b",)), "barns")


def test_connection_that_ends_is_opened_again(site: BrokerView, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()
    with pytest.raises(Again):
        site.poll(60.0)
    Node.up.clear()
    site.close()
    monkeypatch.setattr(rollout, "LOST_S", -1.0)
    with pytest.raises(BrokerLost):
        site.poll(60.0)


def test_second_roll_out_ends_the_first_and_its_own_messages_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def message(number: int, signature: str) -> bytes:
        return json.dumps({"desired": json.dumps({"number": number}), "signature": signature}).encode()

    def send(out: OutgoingMessage) -> None:
        for payload in [out.payload, *others]:
            view._on_message(IncomingMessage(topic=out.topic, payload=payload, retain=False))
        view._on_result(out, None)

    others: list[bytes] = []
    view = BrokerView(MqttConfig(), "barns")
    view._connection = SimpleNamespace(send=send, poll=lambda _: None)  # type: ignore[assignment]
    view.group.update("a", "status", {"state": "online"})
    view.group.update("a", "reported", {"group": "barns", "desired_number": 3})
    monkeypatch.setattr(rollout, "seal", lambda desired, key: message(desired.number, "ours"))
    monkeypatch.setattr(rollout, "POLL_S", 0.001)
    monkeypatch.setattr(view, "read_retained", lambda: None)
    run = Rollout(view, WANTED, Path("key"), stop_at=0, wait_s=0, watch_s=0).run
    assert not run([100.0], print)  # nobody answers, and nobody else publishes
    others.append(message(4, "theirs"))
    with pytest.raises(NotTrusted, match="somebody else has published message 4 for the group barns"):
        run([100.0], print)


def test_number_that_one_device_claims_uses_up_few(monkeypatch: pytest.MonkeyPatch) -> None:
    made, published = group(), list[int]()
    made.update("a", "reported", {"group": "barns", "desired_number": 1 << 53})
    fake: Any = SimpleNamespace(group=made, retained_number=7, publish=published.append)
    fake.read_retained = fake.poll = lambda *_: None
    monkeypatch.setattr(rollout, "seal", lambda desired, key: desired.number)
    said = list[str]()
    assert Rollout(fake, WANTED, Path("key"), stop_at=0, wait_s=1, watch_s=1).run([0.0], said.append)
    assert published == [7 + rollout.MAX_AHEAD + 1]
    assert "wanted: version any; settings of the fleet: none" in said  # which takes those of before away


def wanted(folder: Path, text: str) -> Desired:
    (folder / "F").write_text(text)
    return rollout._wanted(argparse.Namespace(group="barns", version=None, configuration=folder / "F"), None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("publish.max_rate_hz = -1", r"F:1 publish\.max_rate_hz = -1: must be"),
        ("[cameras.a]\nfsp = 1", r"F:2 cameras\.a\.fsp: is not a known key"),
        ("[mqtt]\nhost = 'x'", "F:1 mqtt: is the device's own"),
        ("throttle.cool_c = 90\nthrottle.hot_c = 80", "F:1 throttle: cool_c must be below hot_c"),
        ("models.pose.person = 'rtmpose'", r"F:1 models\.pose\.person = .*: is not in the catalogue"),
        ("models.pose.person = 'det-person-horse'", r"F:1 models\.pose\.person = .*: is a card of task detect"),
        ("models.detector = 'det-person-horse'\n[cameras.a]\nclasses = ['cow']", r"F:3 cameras\.a\.classes.*'cow'"),
        (
            "profiles.a = {start = '20:00', end = '22:00'}\nprofiles.b = {start = '21:00', end = '23:00'}",
            "F:2 .*overlap",
        ),
        ("cameras.a.masks = [[[0, 0], [9, 9], [0, 9], [9, 0]]]", r"F:1 cameras\.a\.masks"),
    ],
)
def test_what_every_device_would_refuse_is_not_published(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=named):
        wanted(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "throttle.cool_c = 90",  # they may have a higher hot_c
        "cameras.a.classes = ['cow']",  # and another detector
        "[cameras.a]\nstall.enabled = true\nperson_down.enabled = true",  # and a drawing
        "[cameras.a]\nsize = [640, 480]\nmasks = [[[0, 0], [9, 600], [0, 600]]]",  # and be turned
        "cameras.a.static_region.label = 'person'",  # and its box
        "[profiles.night.cameras.b]\nfps = 1",
    ],
)
def test_what_may_fit_to_the_devices_own_keys_is_published(text: str, tmp_path: Path) -> None:
    assert wanted(tmp_path, text).configuration == text


def test_share_and_size_that_nothing_could_mean_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("nan", "-1", "101"):
        with pytest.raises(argparse.ArgumentTypeError):
            percent(text)
    monkeypatch.setattr("edged.provisioning.desired.sign", lambda *_: "")
    assert seal(WANTED.model_copy(update={"configuration": "ä" * 20_000}), Path("key"))
    with pytest.raises(ConfigError, match="187 kB, want at most 128;"):
        seal(WANTED.model_copy(update={"configuration": "\n\n" * 32_000}), Path("key"))
