"""The arguments of every command, validated. The docstring says what it does."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

Text = Annotated[str, Strict(), Field(min_length=1, max_length=128)]
Number = Annotated[float, Strict()]


class Command(BaseModel):
    """What every command may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Text | None = Field(None, description="Yours; the answer has it too. The same id is obeyed once.")


class Snapshot(Command):
    """Publish a JPEG of the camera's next frame on its `snapshot` topic, if `cameras.<name>.images` lets it leave.

    The answer has `camera`, `frame`, `seq` and `ts` of the poses message of that very frame, the picture's size
    `image` in px (smaller than the camera's where `commands.snapshot_kb` asks for it), its `bytes`, and `annotated`.
    """

    camera: Text = Field(description="Name of the camera.")
    annotated: bool = Field(True, description="Draw boxes and keypoints.")


class Day(Command):
    """Publish a stall's day as a JPEG on its `day` topic: posture, head, activity and alerts over 24 hours.

    It shows no image of the stall. The answer has the `camera`, the `date`, the picture's size `image` in px, and its
    `bytes`.
    """

    camera: Text = Field(description="Name of the stall's camera.")
    date: Text | None = Field(None, description="Local date, ISO 8601; the running day when left out.")


class Reload(Command):
    """Read the configuration again and run by it; a bad one is refused, with its lines, and the last good one stays.

    The answer has the keys that `changed`, and what was `restarted`: cameras, `models`, `broker connection`, or
    `everything`. SIGHUP does the same, and is answered on the result topic too.
    """


class RestartCamera(Command):
    """Close the camera and open it again."""

    camera: Text = Field(description="Name of the camera.")


class SetRate(Command):
    """Publish at most so many poses per second, until told otherwise or started again.

    The answer has the `cameras`, `hz`, and `until` when in UTC ms, or null.
    """

    hz: Number = Field(ge=0.001, le=240, description="Most messages per camera and second.")
    camera: Text | None = Field(None, description="Name of the camera; all when left out.")
    seconds: Number | None = Field(None, gt=0, le=86400, description="Then back to the configured rate.")


class Acknowledge(Command):
    """Say that a person has seen an alert."""

    alert: Text = Field(description="`alert` of the message.")


class Snooze(Command):
    """Keep an alert quiet; it is told again if it still holds then."""

    alert: Text = Field(description="`alert` of the message.")
    minutes: Number = Field(gt=0, le=1440, description="For how long.")


class Diagnose(Command):
    """Collect what helps to understand the box, without its secrets, into at most 120 kB.

    The answer has `info` and `health` as published, `configuration` as TOML, `doctor` (findings), and the last lines
    of the `log`.
    """


COMMANDS: dict[str, type[Command]] = {
    "snapshot": Snapshot,
    "day": Day,
    "reload": Reload,
    "restart-camera": RestartCamera,
    "set-rate": SetRate,
    "acknowledge": Acknowledge,
    "snooze": Snooze,
    "diagnose": Diagnose,
}
