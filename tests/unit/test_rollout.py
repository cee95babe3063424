"""How a stage of a roll-out stands, by what devices say."""

from __future__ import annotations

from typing import Any

from edged.provisioning.desired import Desired
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
    assert late.problems == {"b": "no room", "c": "silent", "d": "offline"}
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
