import json
import re
import sys
from pathlib import Path

import pytest

from edged.config.load import load, merged, read_layers, validate
from edged.config.schema import NAME, all_keys, node_at, schema
from edged.config.text import changed_keys, effective, reference
from edged.config.tree import Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = Path(__file__).parents[2] / "configs"


def config(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "f.toml"
    file.write_text(text)
    return load(file, env={})


def test_committed_reference_equals_the_printed_one() -> None:
    assert CONFIGS.joinpath("reference.toml").read_text("utf-8") == reference()


def test_reference_loads_to_the_defaults() -> None:
    assert load(CONFIGS / "reference.toml", env={}) == Config()


def test_reference_with_nothing_commented_out_has_every_key_and_is_valid(tmp_path: Path) -> None:
    text = re.sub(r"^#(?! )", "", reference(), flags=re.MULTILINE)
    assert config(tmp_path, text).cameras["example"].static_region is not None
    flat = {tuple(NAME if part == "example" else part for part in key) for key in _keys(tomllib.loads(text))}
    assert {key for key in all_keys() if key[-1] != NAME} <= flat


def _keys(table: dict[str, object], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    below = (_keys(value, (*above, name)) for name, value in table.items() if isinstance(value, dict))
    return {(*above, name) for name in table}.union(*below)


@pytest.mark.parametrize("key", [key for key in all_keys() if key[-1] != NAME], ids=".".join)
def test_every_key_has_a_sentence_and_a_default_or_an_example(key: tuple[str, ...]) -> None:
    here = node_at(key)
    assert here
    assert here.description.endswith(".")
    assert here.is_table or here.default is not None or here.examples


@pytest.mark.parametrize("key", [key for key in all_keys() if re.search("_(s|ms|hz|px)$", key[-1])], ids=".".join)
def test_key_named_for_its_unit_has_it(key: tuple[str, ...]) -> None:
    here = node_at(key)
    assert here
    assert here.unit.lower() == key[-1].rsplit("_", 1)[1]


def test_schema_keeps_units_and_bounds_and_forbids_unknown_keys() -> None:
    camera = schema()["$defs"]["CameraConfig"]
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert camera["additionalProperties"] is False
    fps = camera["properties"]["fps"]
    assert (fps["unit"], fps["minimum"], fps["maximum"]) == ("Hz", 0, 240)
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("name", ["person", "barn", "lab"])
def test_example_is_valid(name: str) -> None:
    assert load(CONFIGS / f"{name}.toml", env={}).cameras


@pytest.mark.parametrize("name", ["person", "barn", "lab"])
def test_example_has_only_keys_that_differ_from_the_defaults(name: str) -> None:
    tree = tomllib.loads(CONFIGS.joinpath(f"{name}.toml").read_text("utf-8"))
    repeated = [
        key for key in _keys(tree) if (here := node_at(key)) and not here.is_table and here.default == _at(tree, key)
    ]
    assert repeated in ([], [("models", "pose")])


def _at(tree: dict[str, object], key: tuple[str, ...]) -> object:
    value: object = tree
    for part in key:
        assert isinstance(value, dict)
        value = value[part]
    return value


@pytest.mark.parametrize("name", ["person", "barn", "lab"])
def test_effective_text_loads_to_the_same_configuration(name: str, tmp_path: Path) -> None:
    loaded = load(CONFIGS / f"{name}.toml", env={})
    shown = config(tmp_path, effective(loaded))
    short = {name: str(camera.source) for name, camera in loaded.cameras.items()}  # an address is not shown whole
    assert {name: camera.source.reveal() for name, camera in shown.cameras.items()} == short
    sources = {name: {"source": camera.source} for name, camera in loaded.cameras.items()}
    assert merged([shown.model_dump(), {"cameras": sources}]) == loaded.model_dump()


def test_names_and_texts_of_any_kind_are_shown_as_toml(tmp_path: Path) -> None:
    odd = 'a\x7f\u2028\\ " \t \U0001f40e'
    loaded = Config.model_validate({"device": {"name": odd}, "models": {"pose": {odd: "x", "": "y"}}})
    assert config(tmp_path, effective(loaded)) == loaded


def test_no_secret_is_shown(tmp_path: Path) -> None:
    text = '[mqtt]\nusername="u"\npassword="hunter2"\n[cameras.a]\nsource="rtsp://me:hunter2@h/s"\npassword="hunter2"'
    shown = effective(config(tmp_path, text))
    assert "hunter" not in shown
    assert 'password = "***"' in shown
    assert 'source = "rtsp://***@h/…"' in shown


def test_each_key_shows_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[mqtt]\nhost = "h"\nusername = "u"\n')
    secret = tmp_path / "credentials/mqtt.password"
    secret.parent.mkdir()
    secret.write_text("s")
    layers = read_layers(file, env={"EDGED_MQTT__PORT": "1", "CREDENTIALS_DIRECTORY": str(secret.parent)})
    shown = effective(validate(layers), layers)
    assert f'host = "h"  # {file}:2\n' in shown
    assert "port = 1  # environment EDGED_MQTT__PORT\n" in shown
    assert f'password = "***"  # credential {secret}\n' in shown
    assert 'base_topic = "edged"  # default\n' in shown


CAMERA = '[cameras.a]\nsource = "0"\n'


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        (CAMERA, CAMERA, []),
        (CAMERA, CAMERA + "fps = 5\nquality.min_contrast = 9", ["cameras.a.fps", "cameras.a.quality.min_contrast"]),
        (CAMERA, "", ["cameras.a"]),
        (CAMERA, CAMERA + "[cameras.b]\nsource = '1'", ["cameras.b"]),
        (CAMERA, CAMERA + "[cameras.a.static_region]\nlabel='x'\nbox=[0,0,9,9]", ["cameras.a.static_region"]),
        ("[mqtt]\nusername = 'u'", "[mqtt]\nusername='u'\npassword='s'", ["mqtt.password"]),
        ("models.pose.a = 'x'", "models.pose.a = 'y'", ["models.pose"]),
        (CAMERA + "size = [640, 480]", CAMERA + "size = [640, 481]", ["cameras.a.size"]),
        ("mqtt.tls.enabled = true", "device.id = 'x'", ["device.id", "mqtt.tls.enabled"]),
    ],
)
def test_changed_keys_are_named(old: str, new: str, want: list[str], tmp_path: Path) -> None:
    assert changed_keys(config(tmp_path, old), config(tmp_path, new)) == want
