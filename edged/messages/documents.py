"""JSON Schemas, the AsyncAPI document and the reference, generated from the schema and the table of topics.

Subscribers read the generated files in this folder; a test compares them with this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from edged.messages import health_schema, reported_schema, schema, switches_schema, topics
from edged.messages.commands import COMMANDS
from edged.messages.examples import example
from edged.messages.schema import MESSAGE_VERSION
from edged.messages.topics import TopicSpec
from engines.card.schema import SCHEMAS

JsonSchema = dict[str, Any]

BODIES: dict[str, Any] = {
    topics.STATUS.name: schema.Status,
    topics.INFO.name: schema.Info,
    topics.HEALTH.name: health_schema.Health,
    topics.SWITCHES.name: switches_schema.Switches,
    topics.REPORTED.name: reported_schema.Reported,
    topics.CAMERA_STATUS.name: schema.CameraStatus,
    topics.POSES.name: schema.Poses,
    topics.STATE.name: schema.State,
    topics.DAILY.name: schema.Daily,
    topics.ALERT.name: schema.Alert,
    topics.RESULT.name: schema.Result,
}

HEADER_FIELDS = frozenset(schema.Header.__annotations__)

PARAMETERS = {
    "base": "`mqtt.base_topic` of the configuration; `edged` unless set, may have several levels.",
    "device": "Device id.",
    "camera": "Name of the camera in the configuration.",
    "alert_id": "`alert_id` of the alert.",
    "command": "Name of the command.",
}


class _UntitledSchema(GenerateJsonSchema):
    """Without titles: they only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(name: str) -> JsonSchema:
    """The JSON Schema (2020-12) of the messages of one topic. It allows unknown fields: additions keep the version."""
    made = TypeAdapter(BODIES[name]).json_schema(schema_generator=_UntitledSchema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"edged:{name}/{MESSAGE_VERSION}",
        **made,
        "examples": [example(name)],
    }


def commands_schema() -> JsonSchema:
    """The JSON Schemas (2020-12) of the payloads of all commands, below `$defs` by command."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"edged:commands/{MESSAGE_VERSION}",
        "description": "The payload of `cmd/<command>` is `$defs/<command>`.",
        "$defs": {name: arguments.model_json_schema() for name, arguments in COMMANDS.items()},
    }


def asyncapi() -> JsonSchema:
    """The AsyncAPI 3.0 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edged",
            "version": f"{MESSAGE_VERSION}.0.0",
            "description": "Poses, states and health of cameras over MQTT. MQTT 5 is preferred, 3.1.1 works; "
            'nothing essential needs MQTT 5. With `publish.encoding = "cbor"` the same bodies '
            "travel as CBOR, poses in whole numbers.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "broker": {
                "host": "{host}:{port}",
                "protocol": "mqtt",
                "protocolVersion": "5",
                "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1883"}},
                "security": [{"$ref": f"#/components/securitySchemes/{kind}"} for kind in ("password", "certificate")],
            }
        },
        "defaultContentType": "application/json",
        "channels": {spec.name: _asyncapi_channel(spec) for spec in topics.TOPIC_SPECS},
        "operations": dict(map(_asyncapi_operation, topics.TOPIC_SPECS)),
        "components": {
            "messages": {spec.name: _asyncapi_message(spec) for spec in topics.TOPIC_SPECS},
            "schemas": _schemas(),
            "securitySchemes": {
                "password": {"type": "userPassword", "description": "`mqtt.username` and its password."},
                "certificate": {"type": "X509", "description": "Client certificate; its CN should be the device id."},
            },
        },
    }


def _asyncapi_channel(spec: TopicSpec) -> JsonSchema:
    address = f"{{base}}/{{device}}/{spec.path}"
    return {
        "address": address,
        "description": spec.summary,
        "messages": {spec.name: {"$ref": f"#/components/messages/{spec.name}"}},
        "parameters": {n: {"description": text} for n, text in PARAMETERS.items() if f"{{{n}}}" in address},
    }


def _asyncapi_operation(spec: TopicSpec) -> tuple[str, JsonSchema]:
    where = {"$ref": f"#/channels/{spec.name}"}
    if spec is topics.COMMAND:
        reply = {
            "channel": {"$ref": f"#/channels/{topics.RESULT.name}"},
            "address": {"location": "$message.header#/responseTopic"},
        }
        return "execute", {"action": "receive", "channel": where, "reply": reply}
    mqtt: JsonSchema = {"qos": spec.qos, "retain": spec.retain, "bindingVersion": "0.2.0"}
    if spec.expiry_s is not None:
        mqtt["messageExpiryInterval"] = spec.expiry_s
    return f"publish-{spec.name}", {"action": "send", "channel": where, "bindings": {"mqtt": mqtt}}


def _asyncapi_message(spec: TopicSpec) -> JsonSchema:
    if spec.media_type is not None:
        return {
            "summary": spec.summary,
            "contentType": spec.media_type,
            "payload": {"type": "string", "format": "binary"},
        }
    if spec is topics.COMMAND:
        verbs = [{"$ref": f"#/components/schemas/command-{verb}"} for verb in COMMANDS]
        return {"summary": spec.summary, "payload": {"anyOf": verbs}}
    return {
        "summary": spec.summary,
        "payload": {"$ref": f"#/components/schemas/{BODIES[spec.name].__name__}"},
        "examples": [{"payload": example(spec.name)}],
        "headers": {
            "type": "object",
            "properties": {
                "schema": {"const": f"{spec.name}/{MESSAGE_VERSION}", "description": "MQTT 5 user property."}
            },
        },
    }


def _schemas() -> JsonSchema:
    mode: Literal["validation"] = "validation"
    adapters = [(name, mode, TypeAdapter(body)) for name, body in BODIES.items()]
    _, shared = TypeAdapter.json_schemas(
        adapters, schema_generator=_UntitledSchema, ref_template="#/components/schemas/{model}"
    )
    commands = {f"command-{verb}": arguments.model_json_schema() for verb, arguments in COMMANDS.items()}
    return {**shared["$defs"], **commands}


def topic_table() -> str:
    """The topics as a Markdown table."""
    rows = [
        "| topic below `<base>/<device>/` | what | QoS | retained | expires | survives an outage |",
        "|---|---|---|---|---|---|",
    ]
    for spec in topics.TOPIC_SPECS:
        path = spec.path.replace("{", "<").replace("}", ">")
        expiry = f"{spec.expiry_s} s" if spec.expiry_s else ""
        stored = "on disk" if spec.store_priority is not None else ""
        rows.append(
            f"| `{path}` | {spec.summary} | {spec.qos} | {'yes' if spec.retain else ''} | {expiry} | {stored} |"
        )
    return "\n".join(rows)


def reference() -> str:
    """Every message field by field, as Markdown."""
    sections = [f"# MQTT reference, version {MESSAGE_VERSION}", INTRODUCTION, topic_table()]
    sections += [
        "## Header of every message",
        _table(TypeAdapter(schema.Header).json_schema(schema_generator=_UntitledSchema)),
    ]
    sections += [_section(name) for name in BODIES]
    sections += ["## Desired", DESIRED_TEXT]
    sections += ["## CBOR", CBOR_TEXT]
    sections += ["## Keypoints", KEYPOINTS_TEXT, _keypoints()]
    sections += ["## Commands", COMMANDS_TEXT, _commands()]
    return "\n\n".join(sections) + "\n"


INTRODUCTION = """Generated by `edged contract reference`; this folder also has JSON Schemas, an AsyncAPI 3 document and
one message of each kind (`edged contract example KIND`). To see an alert: `edged send test-alert camera=NAME`.
The `$id` of a schema is its name, not an address: `edged contract schema NAME` prints it, to keep beside a subscriber.
Fields may be added without notice, so ignore unknown fields; none is removed or changes its meaning without a new `v`.
Gaps in `seq` are lost messages. To know whether the device is online, subscribe to `status`, and treat a missing
`health` message as offline too.

With MQTT 5 a broker says when it refuses a message. With 3.1.1, and where it knows only QoS 0, it drops in silence.
Then the device subscribes to its own topics, and a message that is stored on disk counts as delivered only once it has
come back. It is sent again, with the same `id`, when the connection ended before that: act once on each `id`. So give
the device the right to write and to read `<base>/<device>/#`. One `poses` message in ten seconds has QoS 1, to learn
whether it is refused. What does not arrive is named in `problems` of `health`: `broker-lost`, `broker-no-retain`,
`broker-qos-0`, `topics-refused`, `message-too-large`, `delivery-unverified`, `id-in-use`. A `health` message over the
limit is shortened: first `stage_ms`, then sensors, then `cameras` are empty."""

CBOR_TEXT = """With `publish.encoding = "cbor"` the `poses` travel as CBOR (RFC 8949), with the fields of the JSON.
MQTT 5 has the content type `application/cbor`; with MQTT 3.1.1 the first byte tells: `{` (0x7b) begins JSON. Measured:
466 bytes for 716 of JSON with one horse, 1255 for 2192 with four.

- `packed` is added, with two divisors: `packed.px` (10) and `packed.score` (1000).
- `subjects[].box`, `score` and `detection_score` are whole numbers: divide the box by `px`, scores by `score`.
- `keypoints` and `keypoints_smoothed` are one flat list: x, y, score of the first keypoint, x, y, score of the next.
- Null (0xf6) is null: x and y of a keypoint that was not found, the `detection_score` of a static region.
- Everything else is as in JSON: `keypoints_3d` is not packed, and times stay in ms.

In Python: `edged.messages.cbor.unpack(payload)`. In another language, test with this payload of two keypoints, of
which the second was not found:

```
a36663616d6572616161687375626a6563747381a4626964036573636f72651903a763626f78841905d618511910961909a7
696b6579706f696e74738619067d1901c81904e3f6f615667061636b6564a26270780a6573636f72651903e8
```

```json
{"camera": "a", "subjects": [{"id": 3, "score": 0.935, "box": [149.4, 8.1, 424.6, 247.1],
                              "keypoints": [[166.1, 45.6, 1.251], [null, null, 0.021]]}]}
```"""

KEYPOINTS_TEXT = """The keypoints of each `schema`, in the order of the lists; `keypoints.json` has them for programs.
Left and right are the subject's own."""

DESIRED_TEXT = """With `fleet.group` a device reads the retained message `<base>/fleet/<group>/desired`, an object with
two texts: `desired`, which is JSON in itself, and `signature`, OpenSSH's over the bytes of that text (namespace
`edged-fleet`). Its fields: `v` (1), `group`, `number` (grows with each message of the group, for ever), `version`
(null: any), `configuration` (TOML, at most 32 kB; empty: none) and `share_percent` (of the devices; the others
wait). Unknown fields are refused. `edged rollout` makes and publishes it; what a device did is in its
`reported`."""

COMMANDS_TEXT = """Send a JSON object, `{}` at least and 4096 bytes at most, to `cmd/<command>`; the answer comes to
`cmd/<command>/result`, with your correlation data (1024 bytes at most) and your `id`. The MQTT 5 response topic is used
instead if it is below `cmd/<command>/` of the device, or at or below a topic of `commands.response_topics`. The same
command with the same id or correlation data, delivered again within a minute, is answered again, but executed once.
Retained commands are rejected (over MQTT 3.1.1 each waits a second for that), and so are those that `commands.allow`
does not list.
Commands are executed one after the other: 16 can wait, the next 112 are answered with an error, and further ones get
no answer. Set an expiry (MQTT 5, 30 s): without one, a command that a bridge stored is executed late. On a terminal,
use `edged send`."""


def _section(name: str) -> str:
    made = json_schema(name)
    fields = {key: field for key, field in made["properties"].items() if key not in HEADER_FIELDS}
    return f"## {name}\n\n{made['description']}\n\n{_table({**made, 'properties': fields})}"


def field_texts(name: str) -> dict[str, str]:
    """The meaning of every field of a message, by its path: `cameras.*.fps`."""
    made = json_schema(name)
    return {path: text for path, _, text in _fields(made, made.get("$defs", {}), "")}


def _table(made: JsonSchema) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    rows += [f"| `{path}` | {kind} | {text} |" for path, kind, text in _fields(made, made.get("$defs", {}), "")]
    return "\n".join(rows)


def keypoints() -> dict[str, list[str]]:
    """The names of the keypoints of every schema, in order."""
    return {name: list(one.keypoints) for name, one in SCHEMAS.items()}


def _keypoints() -> str:
    rows = [f"| `{name}` | {' '.join(f'`{point}`' for point in points)} |" for name, points in keypoints().items()]
    return "\n".join(["| schema | keypoints |", "|---|---|", *rows])


def _commands() -> str:
    lines = ["| command | arguments | what it does |", "|---|---|---|"]
    for verb, arguments in COMMANDS.items():
        fields = [
            f"`{name}`{'' if field.is_required() else ' (may be left out)'}: {field.description}"
            for name, field in arguments.model_fields.items()
            if name != "id"
        ]
        lines.append(f"| `{verb}` | {' '.join(fields)} | {' '.join((arguments.__doc__ or '').split())} |")
    return "\n".join(lines)


def _fields(node: JsonSchema, shared: JsonSchema, prefix: str) -> Iterator[tuple[str, str, str]]:
    """(path, type, meaning) of every field, those of nested objects included."""
    required = node.get("required", ())
    for name, field in node.get("properties", {}).items():
        inner, path = _referenced_object(field, shared), prefix + name
        optional = "" if name in required else " Optional."
        text = field.get("description") or inner.get("description", "")
        yield path, _type_text(field, shared), text + optional
        if "properties" in inner:
            step = "[]." if field.get("type") == "array" else ".*." if "additionalProperties" in field else "."
            yield from _fields(inner, shared, path + step)


def _referenced_object(field: JsonSchema, shared: JsonSchema) -> JsonSchema:
    """The object that a field holds, directly, in a list, in a mapping, or unless it is null."""
    for one in (field, field.get("items"), field.get("additionalProperties"), *field.get("anyOf", ())):
        if isinstance(one, dict) and "$ref" in one:
            found: JsonSchema = shared[one["$ref"].rsplit("/", 1)[1]]
            return found
    return {}


def _type_text(field: JsonSchema, shared: JsonSchema) -> str:
    if "anyOf" in field:
        return " or ".join(_type_text(one, shared) for one in field["anyOf"])
    if "enum" in field or "const" in field:
        return " ".join(f"`{json.dumps(one)}`" for one in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return "object"
    if field.get("type") == "array":
        return f"list of {_type_text(field['items'], shared)}" if field.get("items") else "list"
    if isinstance(field.get("additionalProperties"), dict):
        return f"{_type_text(field['additionalProperties'], shared)} by name"
    return str(field.get("type", "any"))


def files() -> dict[str, str]:
    """The text of every generated file, by name."""
    made = {f"{name}.schema.json": json_schema(name) for name in BODIES}
    made |= {"commands.schema.json": commands_schema(), "asyncapi.json": asyncapi(), "keypoints.json": keypoints()}
    return {name: json.dumps(body, indent=2) + "\n" for name, body in made.items()} | {"MQTT.md": reference()}
