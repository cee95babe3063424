"""The contract: generated files are current, and what is built by hand keeps to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jsonschema", reason="needs jsonschema; install edged[dev]")

import jsonschema

import edged
from edged.__main__ import main
from edged.behaviour.alerts import CAMERA_RULES, Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.presence import SceneState
from edged.messages import build, topics
from edged.messages.build import HeaderFactory, encode
from edged.messages.commands import COMMANDS
from edged.messages.documents import BODIES, asyncapi, files, json_schema
from tests.contract import schema_errors
from tests.unit.test_message import FixedOffsetClock, result, subject

SHIPPED = Path(edged.__file__).parent / "messages"
FILES = files()
HEADERS = HeaderFactory(FixedOffsetClock())
EPISODE = Alert(id="e", camera="a", rule=CAMERA_RULES[0], stage="open", since_ns=0, reason="unplugged")
SITUATION = SceneState(view="ok", degraded=(), counts={"horse": 1}, since_ns=0)

MESSAGES = {
    "status": build.device_status(HEADERS, "offline"),
    "cam/a/status": build.camera_status(HEADERS, "a", state="lost", reason="unplugged", since_ns=0),
    "cam/a/poses": build.poses(HEADERS, result(subject(), source="clip.mp4", position=3), smoothed=True),
    "cam/a/state": state_message(HEADERS, "a", SITUATION, ("e",)),
    "cam/a/daily": daily_message(HEADERS, "a", DailyTotals(date="2026-03-01", present_s={"horse": 61.0}), closed=True),
    "cam/a/alert": alert_message(HEADERS, EPISODE),
}


@pytest.mark.parametrize("path", MESSAGES)
def test_a_message_keeps_to_its_schema(path: str) -> None:
    assert schema_errors(path, json.loads(encode(MESSAGES[path]))) == []


def test_a_field_of_the_wrong_type_is_found() -> None:
    assert schema_errors("cam/a/state", {**MESSAGES["cam/a/state"], "view": "splendid"})


def test_a_field_that_nobody_announced_is_found() -> None:
    assert schema_errors("status", {**MESSAGES["status"], "mood": "good"})


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_what_ships_is_what_is_generated(name: str, text: str) -> None:
    assert (SHIPPED / name).read_text("utf-8") == text, f"run `edged contract write {SHIPPED}`"


@pytest.mark.parametrize("name", BODIES)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values())) if node else own


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_every_channel_is_in_the_asyncapi_document_with_its_delivery() -> None:
    document = asyncapi()
    assert set(document["channels"]) == {channel.name for channel in topics.TOPIC_SPECS}
    mqtt = document["operations"]["publish-poses"]["bindings"]["mqtt"]
    assert (mqtt["qos"], mqtt["retain"], mqtt["messageExpiryInterval"]) == (0, False, 5)


def test_every_parameter_of_an_address_is_described() -> None:
    for channel in asyncapi()["channels"].values():
        assert {f"{{{name}}}" in channel["address"] for name in channel["parameters"]} == {True}


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_is_explained(verb: str) -> None:
    assert COMMANDS[verb].__doc__
    assert all(field.description for field in COMMANDS[verb].model_fields.values())


@pytest.mark.parametrize("form", [["schema"], ["schema", "poses"], ["asyncapi"], ["reference"]])
def test_the_contract_can_be_printed(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", *form]) == 0
    assert "poses" in capsys.readouterr().out


def test_a_message_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "schema", "prose"]) == 2
    assert "poses" in capsys.readouterr().err
