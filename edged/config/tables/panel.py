"""`[panel]` and `[evidence]`: the technician's page, and the pictures of alerts."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edged.config.types import FilePath, Flag, Hertz, Int, Number, Seconds, Secret, Section, check_host, unit

MIN_TOKEN_CHARS = 16  # of a random text; `edged provision` makes one of 32


def _check_token(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < MIN_TOKEN_CHARS:
        raise ValueError(
            f"must have {MIN_TOKEN_CHARS} characters or more; leave it out, and `edged provision` makes one"
        )
    return value


Host = Annotated[str, AfterValidator(check_host), Field(min_length=1)]


class PanelConfig(Section):
    """The technician's page: live pictures, drawing, alerts and problems in a browser, for those who have the token."""

    enabled: Flag = Field(False, description="Serve the page.")
    host: Host = Field(
        "127.0.0.1", description="Address to listen on. Anything but this machine itself needs a certificate."
    )
    port: Int = Field(8443, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    token: Annotated[Secret, AfterValidator(_check_token)] = Field(
        SecretStr(""), description="Access token that the page asks for. Better kept in the credential `panel.token`."
    )
    cert: FilePath | None = Field(
        None,
        description="Certificate (PEM) of the page. Left out: that of `[mqtt.tls]`.",
        examples=["/etc/edged/panel.pem"],
    )
    key: FilePath | None = Field(
        None, description="Its key (PEM, not password-protected).", examples=["/etc/edged/panel.key"]
    )
    allowed_hosts: tuple[Host, ...] = Field(
        (),
        description="Host names that browsers may use for the page, besides its addresses and this machine's own name.",
        examples=[["barn-east.example"]],
    )
    max_rate_hz: Hertz = Field(5, ge=0.2, le=10, description="Highest rate of live pictures per camera.")

    @model_validator(mode="after")
    def _check_pair(self) -> PanelConfig:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key must come together; give both or neither")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the page."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class EvidenceConfig(Section):
    """A still and a clip of each alert, of cameras with `images = true`; people in stalls are blurred."""

    enabled: Flag = Field(False, description="Keep them, below `device.state_dir`.")
    before_s: Seconds = Field(10, ge=0, le=60, description="Length of the clip before the alert.")
    after_s: Seconds = Field(20, ge=1, le=120, description="Length of the clip after the alert.")
    rate_hz: Hertz = Field(5, ge=0.5, le=15, description="Pictures per second of the clip.")
    max_mb: Int = Field(
        256,
        ge=8,
        le=65536,
        json_schema_extra=unit("MB"),
        description="Disk space for them; beyond this the oldest are deleted.",
    )
    max_days: Number = Field(
        14, gt=0, le=365, json_schema_extra=unit("days"), description="How long they are kept at most."
    )
