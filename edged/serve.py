"""The daemon from its settings to its last message: what it needs is opened in this order and closed in reverse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edged.adapters.bus_mqtt import MqttBus
from edged.adapters.planes import engines_of
from edged.box.identity import device_id
from edged.bus import message
from edged.bus.message import Stamps
from edged.clock import Clock
from edged.config import Config
from edged.daemon import Daemon, Reread, usable
from edged.logs import Recent


@contextmanager
def daemon(
    settings: Config,
    *,
    display: bool = False,
    retry: bool = True,
    read: Reread | None = None,
    recent: Recent | None = None,
) -> Iterator[Daemon]:
    """The daemon, started. With `display` somebody draws its results; without `retry` a lost camera is given up.

    `read` reads the configuration again; `recent` are log lines for who diagnoses from afar.
    A model that cannot be had is done without, and said to be. Raises `ConfigError` before anything runs.
    """
    usable(settings)
    engines = engines_of(settings.models, settings.compute, spare=True)
    stamps = Stamps(Clock())
    device = device_id(settings.device.id)
    bus = MqttBus(
        settings.mqtt,
        device,
        lambda state: message.presence(stamps, state),
        settings.publish,
        keep=settings.device.state / "outbox.db",
    )
    made: Daemon | None = None
    try:
        made = Daemon(
            settings, device, engines, bus, stamps, display=display, retry=retry, read=read, recent=recent or Recent()
        )
        made.start()
        try:
            yield made
        finally:
            made.close()
    finally:
        bus.close()
        (made.engines if made else engines).plane.close()
