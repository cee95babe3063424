"""A roll-out to a group, stage by stage: which boxes a stage concerns, how they are, and whether it stops. Pure.

Upstream: the boxes' own messages. Downstream: `edged rollout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.provisioning.desired import Desired

Body = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Box:
    """The last messages of a device."""

    status: Body = field(default_factory=dict)
    reported: Body = field(default_factory=dict)
    health: Body = field(default_factory=dict)
    problems_before: frozenset[str] = frozenset()  # kinds that were there when the roll-out began

    @property
    def online(self) -> bool:
        return self.status.get("state") == "online"

    @property
    def problems(self) -> frozenset[str]:
        """The kinds of problems that its health lists."""
        found = self.health.get("problems")
        kinds = [one.get("code") for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
        return frozenset(kind for kind in kinds if isinstance(kind, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVerdict:
    """How a stage stands."""

    concerned: frozenset[str]  # devices
    done: frozenset[str]
    problems: Mapping[str, str]  # by device, in words; while `waiting` some of them are only late
    waiting: frozenset[str]

    def exceeds(self, percent: float) -> bool:
        """Whether more than `percent` of the devices concerned have a problem."""
        return 100 * len(self.problems) > percent * len(self.concerned)


class Group:
    """The boxes of a group, by what they say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.boxes: dict[str, Box] = {}

    def update(self, device: str, kind: str, body: Body) -> None:
        """Take `status`, `reported` or `health` of a device of any group."""
        setattr(self.boxes.setdefault(device, Box()), kind, body)

    def begin(self) -> frozenset[str]:
        """The devices that are asked: those of the group that are online now. Their problems of now do not count."""
        members = {name: box for name, box in self.boxes.items() if box.reported.get("group") == self.name}
        for box in members.values():
            box.problems_before = box.problems
        return frozenset(name for name, box in members.items() if box.online)

    @property
    def last_number(self) -> int:
        """The highest number that a device of the group has accepted; 0: none has."""
        reported = [box.reported for box in self.boxes.values() if box.reported.get("group") == self.name]
        return max((number for body in reported if isinstance(number := body.get("desired_number"), int)), default=0)

    def verdict(self, desired: Desired, asked: frozenset[str], *, late: bool) -> StageVerdict:
        """How the devices asked stand that this message concerns; `late`: who has not answered by now has a problem."""
        concerned = frozenset(name for name in asked if desired.includes(name))
        problems: dict[str, str] = {}
        done, waiting = set[str](), set[str]()
        for name in concerned:
            box = self.boxes[name]
            left = box.reported.get("group") != self.name
            answered = box.reported.get("desired_number") == desired.number and not left
            if answered and box.reported.get("state") == "failed":
                problems[name] = str(box.reported.get("reason") or "failed")
            elif answered and box.reported.get("applied_number") == desired.number and box.online:
                if new := box.problems - box.problems_before:
                    problems[name] = f"health: {', '.join(sorted(new))}"
                else:
                    done.add(name)
            elif left:
                problems[name] = "has left the group"
            elif late:
                problems[name] = _lateness(box, answered=answered)
            else:
                waiting.add(name)
        return StageVerdict(concerned=concerned, done=frozenset(done), problems=problems, waiting=frozenset(waiting))


def _lateness(box: Box, *, answered: bool) -> str:
    if not box.online:
        return "offline"
    return f"still {box.reported.get('state')}" if answered else "silent"
