"""One Home Assistant on a broker; on stdout a line of JSON for whatever happens in it.

Runs in an environment of its own: Home Assistant needs a newer Python and other versions of libraries. The first line
of stdin is the connection, as the MQTT integration keeps it; the second one has discovery payloads, whose keys are
compared with the schemas; it ends with stdin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from homeassistant import bootstrap, config_entries, loader
from homeassistant.components.mqtt.entity import MQTT_ATTRIBUTES_BLOCKED
from homeassistant.const import EVENT_STATE_CHANGED, __version__
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import entity_registry, frame


def tell(**facts: Any) -> None:
    """One line, whole: other threads log, too."""
    sys.stdout.write(json.dumps(facts, default=str) + "\n")
    sys.stdout.flush()


class TellingHandler(logging.Handler):
    """Tells every warning and error."""

    def emit(self, record: logging.LogRecord) -> None:
        reason = f": {record.exc_info[1]!r}" if record.exc_info else ""
        tell(log=f"{record.levelname} {record.name}: {record.getMessage()}{reason}")


def dropped_keys(payloads: dict[str, Any]) -> list[str]:
    """Keys of components that Home Assistant ignores, and components that it refuses."""
    found = []
    for topic, payload in payloads.items():
        for key, component in payload["components"].items():
            config = {"device": payload["device"], **component}
            schema = import_module(f"homeassistant.components.mqtt.{config.pop('platform')}").DISCOVERY_SCHEMA
            try:
                found += [f"{topic} {key}: {name} is no key" for name in sorted(config.keys() - schema(config).keys())]
            except Exception as error:  # of whatever library this version validates with
                found.append(f"{topic} {key}: {error}")
    return found


async def started(folder: str, connection: dict[str, Any]) -> HomeAssistant:
    """Home Assistant with its MQTT integration alone, and without its web server."""
    (Path(folder) / "configuration.yaml").touch()
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    frame.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    await hass.config_entries.async_initialize()
    hass.config.components |= {"http", "file_upload"}
    hass.http = SimpleNamespace(register_view=lambda view: None)
    hass.bus.async_listen(EVENT_STATE_CHANGED, lambda event: tell_state(hass, event))
    entry = config_entries.ConfigEntry(
        domain="mqtt",
        title="broker",
        data={"broker": "127.0.0.1", **connection},
        options={},
        source="user",
        unique_id=None,
        version=1,
        minor_version=1,
        discovery_keys={},
        subentries_data=None,
    )
    await hass.config_entries.async_add(entry)
    return hass


def tell_state(hass: HomeAssistant, event: Event[Any]) -> None:
    entity, state = event.data["entity_id"], event.data["new_state"]
    if state is None:
        tell(entity=entity, state=None)
        return
    known = entity_registry.async_get(hass).async_get(entity)
    unique_id = None if known is None else known.unique_id
    tell(entity=entity, state=state.state, attributes=state.attributes, unique_id=unique_id)


async def main() -> None:
    connection, payloads = json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())
    tell(version=__version__, blocked_attributes=sorted(map(str, MQTT_ATTRIBUTES_BLOCKED)))
    logging.getLogger("homeassistant").addHandler(TellingHandler(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        hass = await started(folder, connection)
        tell(dropped=dropped_keys(payloads), started=True)
        await asyncio.to_thread(sys.stdin.read)
        await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main())
