"""Checks discovery payloads and example messages on stdin with the installed `homeassistant`: schemas, templates.

Runs in an environment of its own: Home Assistant needs a newer Python and other versions of libraries.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import voluptuous as vol
from homeassistant.components.mqtt.discovery import TOPIC_MATCHER
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, MQTT_ENTITY_DEVICE_INFO_SCHEMA
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers import frame
from homeassistant.helpers.template import Template

FAILED = "template error:"


class InstalledHomeAssistant:
    """The installed Home Assistant, after it received these messages."""

    def __init__(self, hass: HomeAssistant, messages: dict[str, Any]) -> None:
        self._hass = hass
        self._messages = messages
        self.entities = 0

    def problems(self, topic: str, payload: dict[str, Any]) -> Iterator[str]:
        """Yield what Home Assistant would reject in a discovery payload."""
        if not TOPIC_MATCHER.match(topic.partition("/")[2]):
            yield f"{topic}: not a discovery topic"
        yield from _schema_errors(topic, DEVICE_DISCOVERY_SCHEMA, payload)
        yield from _schema_errors(f"{topic} device", MQTT_ENTITY_DEVICE_INFO_SCHEMA, payload["device"])
        for key, component in payload["components"].items():
            self.entities += 1
            config = {"device": payload["device"], **component}
            platform = import_module(f"homeassistant.components.mqtt.{config.pop('platform')}")
            yield from _schema_errors(f"{topic} {key}", platform.DISCOVERY_SCHEMA, config)
            yield from self._template_errors(f"{topic} {key}", component)

    def _template_errors(self, where: str, component: dict[str, Any]) -> Iterator[str]:
        """Yield templates that fail on their message or result in an empty text; None is a valid value."""
        pairs = [("state_topic", "value_template"), ("json_attributes_topic", "json_attributes_template")]
        templates = [(component[topic], component[key]) for topic, key in pairs if key in component]
        templates += [(one["topic"], one["value_template"]) for one in component.get("availability", ())]
        for topic, template in templates:
            if topic not in self._messages:
                yield f"{where}: no example of {topic}"
            elif (text := self._rendered(template, self._messages[topic])).startswith(FAILED) or not text:
                yield f"{where}: {template} makes {text!r} of {topic}"

    def _rendered(self, template: str, message: Any) -> str:
        try:
            return str(Template(template, self._hass).async_render({"value_json": message}, parse_result=False))
        except TemplateError as error:
            return f"{FAILED} {error}"


def _schema_errors(where: str, schema: Any, value: Any) -> Iterator[str]:
    try:
        schema(value)
    except vol.Invalid as error:
        yield f"{where}: {error}"


async def main() -> int:
    examples = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        hass = HomeAssistant(folder)
        frame.async_setup(hass)
        installed = InstalledHomeAssistant(hass, examples["messages"])
        found = [p for topic, payload in examples["payloads"].items() for p in installed.problems(topic, payload)]
        await hass.async_stop(force=True)
    print("\n".join(found) or f"homeassistant {__version__}: {installed.entities} entities accepted and readable")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
