"""The body of the `reported` message, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from edged.messages.schema import Header, field


class Reported(Header):
    """What the device has of what its fleet wants. Retained; sent at start and when it changes, with `fleet.group`."""

    group: Annotated[str, field("`fleet.group` of the device.")]
    desired_number: Annotated[
        int | None, field("Number of the last message for the group that was accepted; null: none.")
    ]
    applied_number: Annotated[int | None, field("Number of the message whose wishes were in effect last; null: none.")]
    state: Annotated[
        Literal["none", "waiting", "updating", "applied", "failed"],
        field("`waiting`: not in its `share_percent` yet. `failed`: see `reason`; the state before stays."),
    ]
    reason: Annotated[str, field("Why it failed, in words; else empty.")]
    version: Annotated[str, field("Of the daemon, as dpkg has it.")]
    configuration_sha256: Annotated[str | None, field("Of the TOML of the fleet that it has, in hex; null: none.")]
