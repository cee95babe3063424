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
    """Publish a JPEG of the camera's next frame, as the models see it, on its `snapshot` topic."""

    camera: Text = Field(description="Name of the camera.")
    annotated: bool = Field(True, description="Draw boxes and keypoints.")


class Reload(Command):
    """Read the configuration again and run by it; a bad one is refused and the last good one stays."""


class RestartCamera(Command):
    """Close the camera and open it again."""

    camera: Text = Field(description="Name of the camera.")


class SetRate(Command):
    """Publish at most so many poses per second."""

    hz: Number = Field(gt=0, le=240, description="Most messages per camera and second.")
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
    """Collect versions, configuration without secrets, figures and the last log lines into the answer."""


COMMANDS: dict[str, type[Command]] = {
    "snapshot": Snapshot,
    "reload": Reload,
    "restart-camera": RestartCamera,
    "set-rate": SetRate,
    "acknowledge": Acknowledge,
    "snooze": Snooze,
    "diagnose": Diagnose,
}
