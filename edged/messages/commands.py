"""The arguments of every command, validated. The docstrings are published in the reference."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

Text = Annotated[str, Strict(), Field(min_length=1, max_length=128)]
Number = Annotated[float, Strict()]


class Command(BaseModel):
    """Arguments of every command."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Text | None = Field(
        None, description="Yours; the answer repeats it. A command with the same id is executed once."
    )


class Snapshot(Command):
    """Publish a JPEG of the camera's next frame on its `snapshot` topic, if `cameras.<name>.images` allows it.

    The answer has `camera`, `frame`, `seq` and `ts` of the poses message of that frame, the picture's size `image`
    in px (smaller than the camera's to fit `commands.snapshot_max_kb`), its `bytes`, and `annotated`. People are
    blurred where `stall.people` is `presence`.
    """

    camera: Text = Field(description="Name of the camera.")
    annotated: bool = Field(True, description="Draw boxes and keypoints.")


class Day(Command):
    """Publish a stall's day as a JPEG on its `day` topic: posture, head, activity and alerts over 24 hours.

    No image of the stall is shown. The answer has the `camera`, the `date`, the picture's size `image` in px, and its
    `bytes`.
    """

    camera: Text = Field(description="Name of the stall's camera.")
    date: Text | None = Field(None, description="Local date, ISO 8601; today when left out.")


class Evidence(Command):
    """Publish the still or the clip of an alert once more, on its topic below the alert; see `evidence.enabled`.

    The answer has the `alert_id`, the `camera`, the `part`, and its `bytes`.
    """

    alert_id: Text = Field(description="`alert_id` of the message.")
    part: Literal["still", "clip"] = Field("still", description="`still` or `clip`; `still` when left out.")


class Reload(Command):
    """Read the configuration again and apply it; one with errors is rejected, with their lines, and nothing changes.

    The answer has the keys that `changed`, and what was `restarted`: cameras, `models`, `broker connection`, or
    `everything`. SIGHUP does the same; its answer goes to the result topic.
    """


class RestartCamera(Command):
    """Close the camera and open it again."""

    camera: Text = Field(description="Name of the camera.")


class SetRate(Command):
    """Limit the rate of poses messages, until the next `set-rate` or a restart.

    The answer has the `cameras`, `hz`, and `until_ts` in UTC ms, or null.
    """

    hz: Number = Field(ge=0.001, le=240, description="Messages per camera and second, at most.")
    camera: Text | None = Field(None, description="Name of the camera; all cameras when left out.")
    seconds: Number | None = Field(None, gt=0, le=86400, description="Time until the configured rate applies again.")


class Acknowledge(Command):
    """Mark an alert, or every alert of a camera, as seen by a person. The answer has the `alert_ids`."""

    alert_id: Text | None = Field(None, description="`alert_id` of the message.")
    camera: Text | None = Field(None, description="Name of the camera, instead of `alert_id`.")


class Snooze(Command):
    """Silence an alert, or every alert of a camera; it opens again if its condition still holds then.

    The answer has the `alert_ids`.
    """

    alert_id: Text | None = Field(None, description="`alert_id` of the message.")
    camera: Text | None = Field(None, description="Name of the camera, instead of `alert_id`.")
    minutes: Number = Field(gt=0, le=1440, description="Duration.")


class TestAlert(Command):
    """Publish an alert although nothing has happened, marked `"test": true`, to see that it reaches everybody.

    It opens at once, can be acknowledged and snoozed, and closes by itself. The answer has its `alert_id`, the
    `camera`, the `event_type` and the `severity`.
    """

    __test__ = False  # not one of pytest's
    camera: Text = Field(description="Name of the camera.")
    event_type: Text = Field(
        "camera-lost", description="Kind, one that the camera may have; `camera-lost` when left out."
    )
    seconds: Number = Field(10, ge=1, le=3600, description="Time until it closes; 10 when left out.")


class Switch(Command):
    """Switch a camera, its alerts or its pictures on or off; it lasts over a restart, and ends with the next profile.

    What the configuration does not allow cannot be switched on. The answer has what the `switches` message has.
    """

    camera: Text = Field(description="Name of the camera.")
    what: Literal["camera", "alerts", "images"] = Field(description="`camera`, `alerts` or `images`.")
    on: Annotated[bool, Strict()] = Field(description="True: on.")
    minutes: Number | None = Field(
        None, gt=0, le=10080, description="Time until it goes back by itself; not by itself when left out."
    )


class Profile(Command):
    """Select a profile of the configuration; what was switched before goes back. It lasts over a restart.

    The answer has what the `switches` message has.
    """

    name: Text = Field(description="Name of the profile; `auto` for the timetables, `none` for no profile.")
    minutes: Number | None = Field(
        None, gt=0, le=10080, description="Time until `auto` is selected again; not by itself when left out."
    )


class Diagnose(Command):
    """Collect a diagnosis of the device, without its secrets, at most 120 kB.

    The answer has `info` and `health` as published, `configuration` as TOML, `doctor` (findings), and the last lines
    of the `log`.
    """


# By name, in lower case and with dashes: `restart-camera`. `edged.config.types.CommandName` lists the same names.
COMMANDS: dict[str, type[Command]] = {
    re.sub("(?<=[a-z])(?=[A-Z])", "-", command.__name__).lower(): command
    for command in (
        *(Snapshot, Day, Evidence, Reload, RestartCamera, SetRate, Acknowledge, Snooze, TestAlert, Diagnose),
        *(Switch, Profile),
    )
}
