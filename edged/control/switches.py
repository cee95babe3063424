"""What was switched by command: cameras, alerts, pictures, and the profile. It lasts over a restart.

Upstream: commands, and the clock. Downstream: the daemon, which applies what is in effect; `switches` messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from edged.config.profiles import KEY_OF_SWITCH, Switch, Switches, in_effect, profile_at
from edged.config.tables.profiles import RESERVED, profile_choices
from edged.config.tree import Config
from edged.control.dispatcher import CommandResult
from edged.errors import CommandRejected
from edged.messages import commands
from edged.runtime.json_state import JsonState
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S, S_PER_MIN

AUTO, NONE = RESERVED
PERIOD_S = 1.0  # between two looks at the timetables, which have minutes
MS_PER_MIN = MS_PER_S * S_PER_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """One switch as a command left it."""

    on: bool
    until_ms: int | None = None  # UTC; None: not by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Everything that commands have selected."""

    profile: str = AUTO
    profile_until_ms: int | None = None
    switched: Mapping[str, Mapping[Switch, Switched]] = field(default_factory=dict)  # by camera
    active: str | None = None  # the profile that applied last: with another one, switches go back

    @property
    def switches(self) -> Switches:
        return {name: {what: one.on for what, one in own.items()} for name, own in self.switched.items()}


class CameraSwitches:
    """Thread: any."""

    def __init__(self, state_file: Path, now_ms: Callable[[], int]) -> None:
        """`now_ms`: UTC."""
        self._now_ms = now_ms
        self._file = JsonState(state_file, "switches")
        self._changing = threading.Lock()  # held while the loop applies a change, which therefore must not take it
        self._selection = self._file.read(parse_selection, Selection())
        self._thread = SupervisedThread("switches", self._step, first_s=PERIOD_S)
        self._base: Callable[[], Config] = Config
        self._apply: Callable[[], None] = lambda: None

    def connect(self, base: Callable[[], Config], apply: Callable[[], None]) -> None:
        """Before `start`. `base`: what the files say; `apply` has the daemon run with what is `in_effect`."""
        self._base, self._apply = base, apply

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._thread.stop()

    def in_effect(self, base: Config) -> Config:
        """What these files, the profile and the switches give now."""
        selection = self._current(base)
        return in_effect(base, selection.active, selection.switches)

    def body(self, base: Config) -> dict[str, Any]:
        """Of the `switches` message: the cameras that these files enable."""
        selection, running = self._current(base), self.in_effect(base)
        return {
            "profile": {
                "selected": selection.profile,
                "active": selection.active,
                "until_ts": selection.profile_until_ms,
                "choices": profile_choices(base.profiles),
            },
            "cameras": {name: _camera_body(name, running, selection) for name in base.enabled_cameras},
        }

    def switch(self, command: commands.Switch) -> CommandResult:
        base = self._base()
        _check_switch(command, base)
        own = {command.what: Switched(on=command.on, until_ms=self._until_ms(command.minutes))}
        with self._changing:
            selection = self._current(base)
            of_camera = {**selection.switched.get(command.camera, {}), **own}
            self._change(replace(selection, switched={**selection.switched, command.camera: of_camera}))
        return CommandResult(data=self.body(base))

    def select_profile(self, command: commands.Profile) -> CommandResult:
        base = self._base()
        choices = profile_choices(base.profiles)
        if command.name not in choices:
            wanted = f"one of {', '.join(choices)}"
            raise CommandRejected("name", got=ascii(command.name), wanted=wanted, do="name one of these")
        until_ms = self._until_ms(command.minutes) if command.name != AUTO else None
        with self._changing:
            self._change(Selection(profile=command.name, profile_until_ms=until_ms))
        return CommandResult(data=self.body(base))

    def _change(self, new: Selection) -> None:
        """Raises what applying it raises, and nothing has changed then."""
        with ExitStack() as undo:
            undo.callback(setattr, self, "_selection", self._selection)
            self._selection = new
            self._apply()
            undo.pop_all()
        self._selection = self._current(self._base())
        self._file.write(asdict(self._selection))

    def _step(self) -> float:
        """Apply what the clock has changed."""
        with self._changing:
            if (due := self._current(self._base())) != self._selection:
                self._change(due)
        return PERIOD_S

    def _current(self, base: Config) -> Selection:
        """The selection without what is over, or makes no difference."""
        now_ms, selection = self._now_ms(), self._selection
        if _is_over(selection.profile_until_ms, now_ms) or selection.profile not in profile_choices(base.profiles):
            selection = replace(selection, profile=AUTO, profile_until_ms=None)
        time = datetime.fromtimestamp(now_ms / MS_PER_S).astimezone().strftime("%H:%M")
        named = None if selection.profile == NONE else selection.profile
        active = profile_at(base.profiles, time) if named == AUTO else named
        without = in_effect(base, active, {})
        keep = {} if active != selection.active else selection.switched
        switched = {name: _lasting(name, own, without, now_ms) for name, own in keep.items() if name in base.cameras}
        return replace(selection, active=active, switched={name: own for name, own in switched.items() if own})

    def _until_ms(self, minutes: float | None) -> int | None:
        return None if minutes is None else self._now_ms() + round(minutes * MS_PER_MIN)


def _lasting(name: str, own: Mapping[Switch, Switched], without: Config, now_ms: int) -> dict[Switch, Switched]:
    """The switches of a camera that are not over, and differ from what the configuration and the profile give."""
    camera = without.cameras[name]
    return {
        what: one
        for what, one in own.items()
        if not _is_over(one.until_ms, now_ms) and one.on != getattr(camera, KEY_OF_SWITCH[what])
    }


def _is_over(until_ms: int | None, now_ms: int) -> bool:
    return until_ms is not None and now_ms >= until_ms


def _check_switch(command: commands.Switch, base: Config) -> None:
    """Raises CommandRejected for another camera, and for what the configuration does not allow."""
    if command.camera not in base.enabled_cameras:
        wanted = f"one of {', '.join(base.enabled_cameras)}"
        raise CommandRejected("camera", got=ascii(command.camera), wanted=wanted, do="name one of these")
    key = KEY_OF_SWITCH[command.what]
    if command.on and not getattr(base.cameras[command.camera], key):
        do = f"set cameras.{command.camera}.{key} = true in the configuration of the device"
        raise CommandRejected(command.what, got=f"{key} = false", wanted="what the configuration allows", do=do)


def _camera_body(name: str, running: Config, selection: Selection) -> dict[str, Any]:
    own = selection.switched.get(name, {})
    return {
        what: {
            "on": bool(getattr(running.cameras[name], key)),
            "until_ts": own[what].until_ms if what in own else None,
        }
        for what, key in KEY_OF_SWITCH.items()
    }


def parse_selection(table: Any) -> Selection:
    """A state file. Raises what JsonState takes for damage."""
    switched: dict[str, dict[Switch, Switched]] = {}
    for name, own in table["switched"].items():
        switched[str(name)] = {
            what: Switched(on=bool(own[what]["on"]), until_ms=_optional_ms(own[what]["until_ms"]))
            for what in get_args(Switch)
            if what in own
        }
    active = table["active"]
    return Selection(
        profile=str(table["profile"]),
        profile_until_ms=_optional_ms(table["profile_until_ms"]),
        switched=switched,
        active=None if active is None else str(active),
    )


def _optional_ms(value: Any) -> int | None:
    return None if value is None else int(value)
