"""The generated documents are current, and the built messages conform to the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jsonschema", reason="needs jsonschema; install edged[dev]")

import jsonschema

import edged
from edged.__main__ import main
from edged.behaviour.alert_rules import CAMERA_RULES
from edged.behaviour.alerts import Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.types import SceneState
from edged.messages import build, topics
from edged.messages.build import HeaderFactory, encode
from edged.messages.cbor import pack, unpack
from edged.messages.commands import COMMANDS
from edged.messages.documents import BODIES, asyncapi, commands_schema, files, json_schema
from edged.messages.examples import example
from tests.support.clock import FixedOffsetClock
from tests.support.messages import result, subject
from tests.support.schema import schema_errors, validator

SHIPPED = Path(edged.__file__).parent / "messages"
FILES = files()
HEADERS = HeaderFactory(FixedOffsetClock())
ALERT = Alert(id="e", camera="a", rule=CAMERA_RULES[0], stage="open", since_ns=0, reason="unplugged")
SCENE = SceneState(view="ok", degraded=(), counts={"horse": 1}, since_ns=0)

MESSAGES = {
    "status": build.device_status(HEADERS, "offline"),
    "cam/a/status": build.camera_status(HEADERS, "a", state="lost", reason="unplugged", since_ns=0),
    "cam/a/poses": build.poses(HEADERS, result(subject(), source="clip.mp4", position=3), smoothed=True),
    "cam/a/state": state_message(HEADERS, "a", SCENE, (ALERT,), SCENE.since_ns),
    "cam/a/daily": daily_message(HEADERS, "a", DailyTotals(date="2026-03-01", present_s={"horse": 61.0}), closed=True),
    "cam/a/alert": alert_message(HEADERS, ALERT),
}


@pytest.mark.parametrize("path", MESSAGES)
def test_built_message_conforms_to_its_schema(path: str) -> None:
    assert schema_errors(path, json.loads(encode(MESSAGES[path]))) == []


def test_field_with_an_unknown_value_is_an_error() -> None:
    assert schema_errors("cam/a/state", {**MESSAGES["cam/a/state"], "view": "splendid"})


def test_field_outside_the_schema_is_an_error() -> None:
    assert schema_errors("status", {**MESSAGES["status"], "mood": "good"})


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_shipped_file_equals_the_generated_text(name: str, text: str) -> None:
    assert (SHIPPED / name).read_text("utf-8") == text, f"run `edged contract write {SHIPPED}`"


@pytest.mark.parametrize("name", BODIES)
def test_json_schema_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values())) if node else own


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    document = asyncapi()
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_asyncapi_document_has_every_topic_with_its_delivery() -> None:
    document = asyncapi()
    assert set(document["channels"]) == {spec.name for spec in topics.TOPIC_SPECS}
    mqtt = document["operations"]["publish-poses"]["bindings"]["mqtt"]
    assert (mqtt["qos"], mqtt["retain"], mqtt["messageExpiryInterval"]) == (0, False, 5)


def test_asyncapi_parameters_are_those_of_the_address() -> None:
    for channel in asyncapi()["channels"].values():
        assert {f"{{{name}}}" in channel["address"] for name in channel["parameters"]} == {True}


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_and_argument_has_a_description(verb: str) -> None:
    assert COMMANDS[verb].__doc__
    assert all(field.description for field in COMMANDS[verb].model_fields.values())


@pytest.mark.parametrize("form", [["schema"], ["schema", "poses"], ["asyncapi"], ["reference"]])
def test_contract_command_prints_each_form(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", *form]) == 0
    assert "poses" in capsys.readouterr().out


def test_contract_schema_of_an_unknown_message_fails_and_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "schema", "prose"]) == 2
    assert "poses" in capsys.readouterr().err


def fields(node: Any, shared: Any, prefix: str = "") -> set[str]:
    """The paths of all fields that a message must have, where no free name comes before them."""
    required = set(node.get("required", ()))
    found = {prefix + name for name in required}
    for name in required:
        inner = node["properties"][name]
        ref = inner.get("$ref") or inner.get("items", {}).get("$ref")
        if ref:
            found |= fields(shared[ref.rsplit("/", 1)[1]], shared, f"{prefix}{name}.")
    return found


def paths(body: Any, prefix: str = "") -> set[str]:
    if isinstance(body, list):
        return set().union(*(paths(item, prefix) for item in body)) if body else set()
    if not isinstance(body, dict):
        return set()
    return {prefix + name for name in body}.union(*(paths(body[name], f"{prefix}{name}.") for name in body))


@pytest.mark.parametrize("name", BODIES)
def test_example_conforms_to_its_schema_and_has_every_field(name: str) -> None:
    strict = validator(name)
    assert [error.message for error in strict.iter_errors(example(name))] == []
    made = json_schema(name)
    missing = fields(made, made.get("$defs", {})) - paths(example(name))
    assert {path for path in missing if not path.startswith("problems.")} == set()


def test_example_is_printed_and_part_of_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "example", "state"]) == 0
    assert json.loads(capsys.readouterr().out) == example("state")
    assert json_schema("state")["examples"] == [example("state")]
    assert asyncapi()["components"]["messages"]["state"]["examples"] == [{"payload": example("state")}]


def test_example_of_an_unknown_message_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "example", "poem"]) == 2
    assert "want one of status, info, " in capsys.readouterr().err


def test_cbor_payload_of_the_reference_is_what_it_says() -> None:
    pytest.importorskip("cbor2", reason="needs cbor2; install edged[cbor]")
    text = FILES["MQTT.md"].split("## CBOR")[1].split("\n## ")[0]
    payload, body = re.findall(r"^```(?:json)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert pack(json.loads(body)) == bytes.fromhex(payload)
    assert unpack(bytes.fromhex(payload)) == json.loads(body)


def test_cbor_is_as_small_as_the_reference_says() -> None:
    pytest.importorskip("cbor2", reason="needs cbor2; install edged[cbor]")
    horse = example("poses")["subjects"][0]
    for count, most in ((1, 0.66), (4, 0.58)):
        body = {**example("poses"), "subjects": [horse] * count}
        assert len(pack(body)) / len(encode(body)) < most


@pytest.mark.parametrize(
    ("verb", "body", "valid"), [("snooze", {"alert_id": "a", "minutes": 3}, True), ("snooze", {}, False)]
)
def test_schema_of_a_command_checks_its_payload(verb: str, body: Any, valid: bool) -> None:
    schema = {**commands_schema(), "$ref": f"#/$defs/{verb}"}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is valid
