"""What Home Assistant can do: buttons and switches of a camera, and the profile, each by a command. Pure.

Upstream: the commands that the configuration allows. Downstream: `homeassistant_payloads`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from edged.messages.topics import COMMAND, SWITCHES
from edged.mqtt.homeassistant_entities import SEPARATOR, Body, EntityContext

SNOOZE_MINUTES = 60  # of the button
# By command, each with the camera as its argument: name and options.
BUTTONS: Mapping[str, tuple[str, Body]] = {
    "acknowledge": ("Acknowledge alerts", {"icon": "mdi:bell-check"}),
    "snooze": (f"Snooze alerts for {SNOOZE_MINUTES} min", {"icon": "mdi:bell-sleep"}),
    "restart-camera": ("Restart", {"device_class": "restart", "entity_category": "diagnostic"}),
    "snapshot": ("Take snapshot", {"icon": "mdi:camera", "entity_category": "diagnostic"}),
}
ARGUMENTS: Mapping[str, Body] = {"snooze": {"minutes": SNOOZE_MINUTES}}  # of buttons, beside the camera
# By `what` of the command `switch`: name and icon.
SWITCH_NAMES = {"camera": ("Camera", "cctv"), "alerts": ("Alerts", "bell"), "images": ("Pictures", "image")}


def buttons(context: EntityContext, verbs: Collection[str]) -> dict[str, Body]:
    """A button of the camera for each of these commands that needs no more than the camera."""
    return {
        (key := f"{context.id}{SEPARATOR}{verb}_button"): {
            **_control(context, key, "button", name, verb),
            "payload_press": json.dumps({"camera": context.camera, **ARGUMENTS.get(verb, {})}),
            **options,
        }
        for verb, (name, options) in BUTTONS.items()
        if verb in verbs
    }


def switches(context: EntityContext, what: Collection[str]) -> dict[str, Body]:
    """A switch of the camera for each of `what`."""
    parts = {}
    for switch, (name, icon) in SWITCH_NAMES.items():
        if switch not in what:
            continue
        key = f"{context.id}{SEPARATOR}{switch}_switch"
        on = f"value_json.cameras['{context.camera}'].{switch}.on"
        parts[key] = _control(context, key, "switch", name, "switch") | {
            "state_topic": context.topic(SWITCHES.at()),
            "value_template": f"{{{{ 'ON' if {on} else 'OFF' }}}}",
            "state_on": "ON",
            "state_off": "OFF",
            "payload_on": json.dumps({"camera": context.camera, "what": switch, "on": True}),
            "payload_off": json.dumps({"camera": context.camera, "what": switch, "on": False}),
            "icon": f"mdi:{icon}",
        }
    return parts


def profile_select(context: EntityContext, choices: Iterable[str]) -> dict[str, Body]:
    """A select of the device for its profiles."""
    key = f"{context.id}{SEPARATOR}profile_select"
    return {
        key: _control(context, key, "select", "Profile", "profile")
        | {
            "state_topic": context.topic(SWITCHES.at()),
            "value_template": "{{ value_json.profile.selected }}",
            "command_template": '{"name": "{{ value }}"}',
            "options": list(choices),
            "json_attributes_topic": context.topic(SWITCHES.at()),
            "json_attributes_template": "{{ {'active': value_json.profile.active} | tojson }}",
            "icon": "mdi:theme-light-dark",
        }
    }


def _control(context: EntityContext, key: str, platform: str, name: str, verb: str) -> Body:
    """What every control has. It is there as long as the device is, whatever the camera does."""
    return {
        "platform": platform,
        "unique_id": key,
        "name": name,
        "command_topic": context.topic(COMMAND.at(command=verb)),
        "availability": context.device_availability,
    }
