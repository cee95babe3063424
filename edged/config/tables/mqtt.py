"""`[mqtt]`, `[publish]`, `[homeassistant]` and `[commands]`: the broker, and what goes to and comes from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edged.config.types import (
    CommandName,
    FilePath,
    Flag,
    Hertz,
    HostPort,
    Int,
    Line,
    Number,
    Seconds,
    Secret,
    Section,
    ServerName,
    Topic,
    is_host,
    split_address,
    table,
    unit,
)


class TlsConfig(Section):
    """Encryption of the broker connection."""

    enabled: Flag = Field(False, description="Use TLS.")
    ca: FilePath | None = Field(
        None, description="CA certificate (PEM). Left out: the system's store.", examples=["/etc/edged/ca.pem"]
    )
    cert: FilePath | None = Field(
        None, description="Client certificate (PEM), for mutual TLS.", examples=["/etc/edged/client.pem"]
    )
    key: FilePath | None = Field(
        None,
        description="Client key (PEM, not password-protected), for mutual TLS.",
        examples=["/etc/edged/client.key"],
    )

    server_name: ServerName = Field(
        "",
        description="Name that the broker's certificate is for, where `mqtt.host` is another. Empty: `mqtt.host`, and "
        "of each of `mqtt.hosts` its own.",
    )

    @model_validator(mode="after")
    def _check_pair(self) -> TlsConfig:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key must come together; give both or neither")
        given = [key for key in ("ca", "cert", "key") if getattr(self, key) is not None]
        if given and "enabled" not in self.model_fields_set:
            text = f"{given[0]} is not used without TLS, and passwords would go in clear text"
            raise ValueError(f"{text}; add enabled = true, or remove it")
        return self


def _check_broker(value: str) -> str:
    if value and not is_host(value):
        wanted = "must be a host name or address alone, IPv6 without brackets"
        raise ValueError(f"{wanted}; the port goes to mqtt.port, TLS to [mqtt.tls]")
    return value


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class MqttConfig(Section):
    """The MQTT broker."""

    host: Annotated[str, AfterValidator(_check_broker)] = Field(
        "127.0.0.1", min_length=1, description="Broker host name or address."
    )
    port: Int = Field(1883, ge=1, le=65535, description="Broker port; 8883 is usual with TLS.")
    hosts: tuple[HostPort, ...] = Field(
        (),
        max_length=16,
        description="Further nodes of the same cluster, as HOST or HOST:PORT; without a port, that of `mqtt.port`. "
        "Each device takes all nodes in an order of its own, and the next one when a node fails.",
        examples=[["10.0.0.12", "node-3.example:8884"]],
    )
    transport: Literal["tcp", "websocket"] = Field(
        "tcp", description="`websocket`: MQTT inside HTTP, for networks that let only that out; 443 is usual with TLS."
    )
    websocket_path: Secret = Field(
        SecretStr(""), description="Path of the WebSocket, with its query. Empty: /mqtt, as most brokers have it."
    )
    base_topic: Topic = Field("edged", description="First topic level(s), before the device id.")
    username: Line = Field("", description="User name. Empty: anonymous or certificate identity.")
    password: Secret = Field(SecretStr(""), description="Password. Better kept in the credential `mqtt.password`.")
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        "auto", description="MQTT version. `auto` tries 5 and falls back to 3.1.1 when the broker refuses it."
    )
    keepalive_s: Int = Field(
        20, ge=5, le=300, json_schema_extra=unit("s"), description="A silent broker is noticed after 1.5 times this."
    )
    reconnect_max_s: Int = Field(
        60,
        ge=1,
        le=3600,
        json_schema_extra=unit("s"),
        description="Longest wait between attempts at a broker that refuses the connection; one that does not answer "
        "is tried every 3 s.",
    )
    tls: TlsConfig = table()

    @model_validator(mode="after")
    def _check_keys(self) -> MqttConfig:
        if self.websocket_path.get_secret_value()[:1] not in ("", "/"):
            raise ValueError("websocket_path must begin with /")
        if self.password.get_secret_value() and not self.username:
            raise ValueError("password must come with a username; give mqtt.username too")
        places = [node.place.lower() for node in self.nodes]
        if twice := {place for place in places if places.count(place) > 1}:
            raise ValueError(f"hosts must be other nodes than host, each once; {min(twice)} is there twice")
        return self

    @property
    def address(self) -> str:
        """For people: `10.0.0.2:1883 or 10.0.0.3:1883`."""
        return " or ".join(node.place for node in self.nodes)

    @property
    def place(self) -> str:
        """Host and port of one node, for people: `10.0.0.2:1883` or `[fd00::2]:1883`."""
        return _place(self.host, self.port)

    @property
    def nodes(self) -> tuple[MqttConfig, ...]:
        """This broker as each node sees it, `host` first: its own address as `host`, those of the others as `hosts`."""
        others = [split_address(address) for address in self.hosts]
        places = [(self.host, self.port), *((host, port or self.port) for host, port in others)]
        names = [_place(host, port) for host, port in places]
        return tuple(
            self.model_copy(update={"host": host, "port": port, "hosts": tuple(names[index + 1 :] + names[:index])})
            for index, (host, port) in enumerate(places)
        )


class PublishConfig(Section):
    """What is published, and how often."""

    max_rate_hz: Hertz = Field(30, ge=0.001, le=240, description="Highest rate of `poses` messages per camera.")
    encoding: Literal["json", "cbor"] = Field(
        "json",
        description="Of `poses`. `cbor`: the same content in 55 to 65 % of the bytes; see the MQTT reference.",
    )
    smoothed: Flag = Field(False, description="Add One-Euro filtered keypoints to the unfiltered ones.")
    queue_size: Int = Field(
        256,
        ge=8,
        le=65536,
        json_schema_extra=unit("messages"),
        description="Messages waiting for the broker; beyond this the oldest are dropped and counted.",
    )
    health_interval_s: Seconds = Field(30, ge=1, le=3600, description="Interval of the `health` message.")
    daily_interval_s: Seconds = Field(
        900, ge=10, le=86400, description="Interval of the `daily` messages of the current day."
    )
    store_max_mb: Int = Field(
        16,
        ge=1,
        le=4096,
        json_schema_extra=unit("MB"),
        description="Disk space for alerts, totals and states while the broker is unreachable; beyond this the oldest "
        "are dropped.",
    )
    store_max_days: Number = Field(
        7, gt=0, le=365, json_schema_extra=unit("days"), description="How long they are stored at most."
    )


class HomeAssistantConfig(Section):
    """MQTT discovery: Home Assistant finds the device and its cameras without configuration."""

    enabled: Flag = Field(False, description="Publish discovery messages. Switched off again, the entities go away.")
    discovery_prefix: Topic = Field("homeassistant", description="As set in Home Assistant.")


class CommandsConfig(Section):
    """Which MQTT commands the device carries out. With an empty list it subscribes to none."""

    allow: tuple[CommandName, ...] = Field(
        ("acknowledge", "snooze"),
        description="Allowed commands. The two defaults only answer an alert; `snapshot`, `day`, `evidence` and "
        "`diagnose` reveal more, `restart-camera`, `set-rate` and `reload` change what the device does, `test-alert` "
        "rings an alarm.",
    )
    response_topics: tuple[Topic, ...] = Field(
        (),
        max_length=16,
        description="Topics at and below which an answer may go when the command's MQTT 5 response topic asks for it; "
        "always allowed are those below the device's own `cmd/<command>/`. The broker must let the device write there.",
        examples=[["site/answers"]],
    )
    snapshot_max_kb: Int = Field(
        256,
        ge=16,
        le=16384,
        json_schema_extra=unit("kB"),
        description="Largest picture published; a larger one is compressed more, then scaled down, until it fits.",
    )
