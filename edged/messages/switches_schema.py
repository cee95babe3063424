"""The body of the `switches` message, field by field."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from edged.messages.schema import Header, field


class Switch(TypedDict):
    on: bool
    until_ts: Annotated[
        int | None, field("When it goes back by itself, UTC in ms; null: not, or nothing to go back to.")
    ]


class CameraSwitches(TypedDict):
    """What of a camera is on, by its configuration, the profile and the command `switch`."""

    camera: Annotated[Switch, field("Off: it is closed, and has no messages.")]
    alerts: Annotated[Switch, field("Off: none opens, and open ones have closed.")]
    images: Annotated[Switch, field("Off: no picture is sent, and none is kept.")]


class ProfileState(TypedDict):
    selected: Annotated[str, field("By the command `profile`: a name, `auto` for the timetables, or `none`.")]
    active: Annotated[str | None, field("That applies now; null: none.")]
    until_ts: Annotated[int | None, field("When `auto` is selected again, UTC in ms; null: not by itself.")]
    choices: Annotated[list[str], field("What may be selected.")]


class Switches(Header):
    """What is on and off, and which profile applies. Retained; sent at start and when it changes."""

    profile: ProfileState
    cameras: dict[str, CameraSwitches]
