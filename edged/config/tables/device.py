"""`[device]`, `[update]`, `[fleet]`, `[throttle]`, `[prometheus]`: the device, its releases, temperature, metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from edged.config.types import FilePath, Flag, Hertz, Int, Name, Number, Seconds, Section, check_host, unit

Celsius = Annotated[Number, Field(ge=20, le=125, json_schema_extra=unit("°C"))]
StepRate = Annotated[Hertz, Field(ge=0.5, le=240)]


def _check_source(source: str) -> str:
    if not source.startswith(("https://", "/")):
        raise ValueError("must be a folder with its whole path, or an address that begins with https://")
    if source.startswith("https://") and set("@?#") & set(source):
        raise ValueError("must be an address without login or query; releases are signed, not secret")
    return source


def _check_id(name: str) -> str:
    if name == "fleet":
        raise ValueError("must be another name: messages for groups of devices are below `fleet`")
    return name


class DeviceConfig(Section):
    """The identity of this device."""

    id: Annotated[Name, AfterValidator(_check_id)] = Field(
        "auto", description="Topic level and MQTT client id. `auto` gives edged-<8 hex digits> of the machine id."
    )
    name: str = Field("", max_length=80, description="Display name.")
    state_dir: FilePath = Field(
        Path("/var/lib/edged"),
        description="Of one daemon: what must survive a restart, as messages not yet sent and today's totals.",
    )

    max_reboots: Int = Field(
        2,
        ge=0,
        le=10,
        json_schema_extra=unit("reboots"),
        description="How many reboots may be requested while no camera returns although Argus or its USB port was "
        "reset. A day with a camera online restores one. 0: never.",
    )


class UpdateConfig(Section):
    """Signed releases. They are installed every night; a device that has no key installs none."""

    source: Annotated[str, AfterValidator(_check_source)] | None = Field(
        None,
        description="Folder or mirror with a release: packages, SHA256SUMS, SHA256SUMS.sig. Left out: no updates.",
        examples=["https://mirror.example.org/edged"],
    )


class FleetConfig(Section):
    """Version and settings that the fleet wants, in signed messages; a device without a key takes none."""

    group: Name | None = Field(
        None,
        description="Group whose messages on `<mqtt.base_topic>/fleet/<group>/desired` are followed. Left out: none. "
        "With a group the nightly look for a release is left to the fleet.",
        examples=["barns"],
    )


class ThrottleConfig(Section):
    """Lower frame rates, step by step, while the device is too hot or its own protection slows it down."""

    steps_hz: tuple[StepRate, ...] = Field(
        (10, 5, 2),
        max_length=8,
        json_schema_extra=unit("Hz"),
        description="Highest frame rate per camera at each step. []: the rate never falls.",
        examples=[[10, 5, 2]],
    )
    hot_c: Celsius = Field(90, description="At this temperature of the hottest zone, or when throttled: a step down.")
    cool_c: Celsius = Field(82, description="Below this, and while not throttled, a step up is possible.")
    step_down_s: Seconds = Field(30, ge=1, le=3600, description="Time between two steps down.")
    step_up_s: Seconds = Field(120, ge=1, le=86400, description="How long it must be cool before a step up.")

    @model_validator(mode="after")
    def _check_order(self) -> ThrottleConfig:
        if self.cool_c >= self.hot_c:
            raise ValueError("cool_c must be below hot_c; lower the one or raise the other")
        if list(self.steps_hz) != sorted(set(self.steps_hz), reverse=True):
            raise ValueError("steps_hz must fall from step to step; write the highest rate first")
        return self


class PrometheusConfig(Section):
    """Health as metrics over HTTP, for Prometheus."""

    enabled: Flag = Field(False, description="Serve http://HOST:PORT/metrics.")
    host: Annotated[str, AfterValidator(check_host)] = Field(
        "127.0.0.1", min_length=1, description="Address to listen on. There is no password."
    )
    port: Int = Field(9464, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
