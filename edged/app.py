"""The daemon from its settings to its last message: what it needs is opened in this order and closed in reverse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edged.config.tree import Config
from edged.daemon import Daemon, ReadConfig, cameras_in_use
from edged.device.identity import device_id
from edged.inference.load_models import load_models
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from edged.runtime.log import RecentLines


@contextmanager
def daemon(
    settings: Config,
    *,
    display: bool = False,
    retry: bool = True,
    read_config: ReadConfig | None = None,
    recent_lines: RecentLines | None = None,
) -> Iterator[Daemon]:
    """The daemon, started. With `display` somebody draws its results; without `retry` a lost camera is given up.

    `read_config` reads the configuration again; `recent_lines` are log lines for who diagnoses from afar.
    A model that cannot be had is done without, and said to be. Raises `ConfigError` before anything runs.
    """
    cameras_in_use(settings)
    engines = load_models(settings.models, settings.compute, allow_missing=True)
    stamps = HeaderFactory(Clock())
    device = device_id(settings.device.id)
    bus = MqttBus(
        settings.mqtt,
        device,
        lambda state: build.device_status(stamps, state),
        settings.publish,
        store_path=settings.device.state_dir / "outbox.db",
    )
    made: Daemon | None = None
    try:
        made = Daemon(
            settings,
            device,
            engines,
            bus,
            stamps,
            display=display,
            retry=retry,
            read_config=read_config,
            recent_lines=recent_lines or RecentLines(),
        )
        made.start()
        try:
            yield made
        finally:
            made.close()
    finally:
        bus.close()
        (made.engines if made else engines).backend.close()
