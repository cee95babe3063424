from collections.abc import Mapping
from pathlib import Path

import pytest

from edged.config.layers import environment_layer
from edged.config.load import camera_from_source, load
from edged.config.renamed import REMOVED, RENAMED
from edged.config.schema import all_keys
from edged.config.tree import Config
from edged.errors import ConfigError


def site(etc: Path, **files: str) -> Path:
    """An /etc/edged: `main` and the files of conf.d by name."""
    (etc / "conf.d").mkdir()
    for name, text in files.items():
        (etc / ("edged.toml" if name == "main" else f"conf.d/{name}.toml")).write_text(text)
    return etc


def credentials(tmp_path: Path, **secrets: str) -> dict[str, str]:
    """The environment of a unit with these credentials; `__` stands for the dot in their names."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    for name, secret in secrets.items():
        (directory / name.replace("__", ".")).write_text(secret)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def error(path: Path | None = None, env: Mapping[str, str] | None = None, etc: Path = Path("/nowhere")) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, env=env or {}, etc=etc)
    return str(caught.value)


CAMERA = '[cameras.a]\nsource = "0"\n'


def test_no_source_gives_the_defaults(tmp_path: Path) -> None:
    assert load(env={}, etc=tmp_path) == Config()


def test_later_source_overrides_earlier_one(tmp_path: Path) -> None:
    main = "[mqtt]\n" + "\n".join(f'{key} = "main"' for key in ("host", "base_topic", "username", "password"))
    etc = site(tmp_path, main=main, b='mqtt.base_topic = "b"\nmqtt.username = "b"', a='mqtt.base_topic = "a"')
    env = {"EDGED_MQTT__USERNAME": "environment", "EDGED_MQTT__PASSWORD": "environment"}
    mqtt = load(env=env | credentials(tmp_path, mqtt__password="credential\n"), etc=etc).mqtt
    got = (mqtt.host, mqtt.base_topic, mqtt.username, mqtt.password.get_secret_value())
    assert got == ("main", "b", "environment", "credential")


def test_cameras_of_several_files_are_merged_by_name(tmp_path: Path) -> None:
    more = "[cameras.a]\nfps = 5\n[cameras.a.quality]\nmin_contrast = 9\n[cameras.b]\nsource = '1'"
    etc = site(tmp_path, main=CAMERA + "fps = 9\nloop = true\n[cameras.a.quality]\nenabled = false", more=more)
    cameras = load(env={}, etc=etc).cameras
    assert list(cameras) == ["a", "b"]
    assert (str(cameras["a"].source), cameras["a"].fps, cameras["a"].loop) == ("0", 5, True)
    assert (cameras["a"].quality.enabled, cameras["a"].quality.min_contrast) == (False, 9)


def test_list_is_replaced_whole(tmp_path: Path) -> None:
    etc = site(tmp_path, main=CAMERA + 'classes = ["person", "horse"]', more='cameras.a.classes = ["horse"]')
    assert load(env={}, etc=etc).cameras["a"].classes == ("horse",)


def test_named_file_is_read_alone(tmp_path: Path) -> None:
    etc = site(tmp_path, main="version = 1", more="nonsense = 1")
    assert load(etc / "edged.toml", env={}, etc=etc) == Config()


def test_hidden_files_of_editors_are_skipped(tmp_path: Path) -> None:
    etc = site(tmp_path, main="")
    (etc / "conf.d/.#a.toml").write_text("nonsense")
    (etc / "conf.d/a.toml~").write_text("nonsense")
    assert load(env={}, etc=etc) == Config()


def test_problem_names_the_last_file_that_gives_the_key(tmp_path: Path) -> None:
    etc = site(tmp_path, main="[mqtt]\nport = 1883", late="# port\nmqtt.port = 0")
    assert error(etc=etc) == f"{etc}/conf.d/late.toml:2 mqtt.port = 0: must be 1..65535; raise it"


def test_bad_value_corrected_by_a_later_file_is_accepted(tmp_path: Path) -> None:
    etc = site(tmp_path, main="[mqtt]\nport = 0", late="mqtt.port = 8883")
    assert load(env={}, etc=etc).mqtt.port == 8883


def test_short_list_over_a_long_one_names_the_file_of_the_short_one(tmp_path: Path) -> None:
    etc = site(tmp_path, main=CAMERA + "roi = [0,\n0,\n100,\n100]", late="\n\ncameras.a.roi = [1]")
    assert error(etc=etc).startswith(f"{etc}/conf.d/late.toml:3 cameras.a.roi = [1]: must be 4 whole numbers")


def test_all_unreadable_files_are_reported_together(tmp_path: Path) -> None:
    etc = site(tmp_path, main="a =", x="b = 1 2")
    assert [line.split(":")[0] for line in error(etc=etc).splitlines()] == [
        f"{etc}/edged.toml",
        f"{etc}/conf.d/x.toml",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "want"),
    [
        ("EDGED_MQTT__HOST", "broker", {"mqtt": {"host": "broker"}}),
        ("EDGED_MQTT__PASSWORD", "[not a list", {"mqtt": {"password": "[not a list"}}),
        ("EDGED_MQTT__USERNAME", "true", {"mqtt": {"username": "true"}}),
        ("EDGED_MQTT__PROTOCOL", "5", {"mqtt": {"protocol": "5"}}),
        ("EDGED_MQTT__PORT", "8883", {"mqtt": {"port": 8883}}),
        ("EDGED_MQTT__PORT", "1\nhost = 2", {"mqtt": {"port": "1\nhost = 2"}}),
        ("EDGED_MQTT__TLS__ENABLED", "true", {"mqtt": {"tls": {"enabled": True}}}),
        ("EDGED_MQTT__TLS__CA", "/ca.pem", {"mqtt": {"tls": {"ca": "/ca.pem"}}}),
        ("EDGED_CAMERAS__A__SIZE", "[640, 480]", {"cameras": {"a": {"size": [640, 480]}}}),
        ("EDGED_CAMERAS__A__THRESHOLDS__HORSE", "0.4", {"cameras": {"a": {"thresholds": {"horse": 0.4}}}}),
        ("EDGED_CAMERAS__A", '{ source = "0" }', {"cameras": {"a": {"source": "0"}}}),
        ("EDGED_CAMERAS__STALL_1__SOURCE", "0", {"cameras": {"stall-1": {"source": "0"}}}),
        ("EDGED_CAMERAS__BOX_1__SOURCE", "0", {"cameras": {"box_1": {"source": "0"}}}),
        ("EDGED_CAMERAS__NEW_1__SOURCE", "0", {"cameras": {"new_1": {"source": "0"}}}),
        ("OTHER_MQTT__HOST", "x", {}),
    ],
)
def test_environment_variable_gives_a_key(variable: str, value: str, want: object) -> None:
    cameras = {"stall-1", "box-1", "box_1"}
    assert environment_layer({variable: value}, cameras).values == want


@pytest.mark.parametrize(
    ("env", "want"),
    [
        (
            {"EDGED_MQTT__PORT": "x"},
            'EDGED_MQTT__PORT = "x": must be a whole number, 1..65535; write digits, without quotes',
        ),
        (
            {"EDGED_MQTT__PASSWORD": "hunter2"},
            "EDGED_MQTT__PASSWORD: password must come with a username; give mqtt.username too",
        ),
        ({"EDGED_MQTT__PASWORD": "hunter2"}, "EDGED_MQTT__PASWORD: is not a known key; did you mean password?"),
        ({"EDGED_MQT__HOST": "x"}, "EDGED_MQT__HOST: is not a known key; did you mean mqtt?"),
        ({"EDGED_MQTT": "x"}, 'EDGED_MQTT = "x": must be a table; write its keys below a [mqtt] header'),
        (
            {"EDGED_MQTT": "x", "EDGED_MQTT__HOST": "y"},
            'EDGED_MQTT = "x": must be a table; write its keys below a [mqtt] header',
        ),
        (
            {"EDGED_CAMERAS__B__FPS": "5"},
            'EDGED_CAMERAS__B__SOURCE: must be given; add source = "rtsp://192.168.1.40/stream1"',
        ),
        (
            {"EDGED_CAMERAS__A__SIZE": "[640, 4]"},
            "EDGED_CAMERAS__A__SIZE[1] = 4: must be 16..16384 px; raise it",
        ),
        (
            {"EDGED_CAMERAS__A__SOURCE": "rtsp://u:hunter2@h:port"},
            'EDGED_CAMERAS__A__SOURCE = "rtsp://***@h:port": must be rtsp://host[:port]/path; '
            "in a password write %23 %2F %3F %40 for # / ? and the at sign",
        ),
        ({"EDGED_" + "A__" * 3000: "x"}, None),
    ],
)
def test_problem_of_the_environment_names_the_variable(env: dict[str, str], want: str, tmp_path: Path) -> None:
    etc = site(tmp_path, main=CAMERA)
    got = error(env=env, etc=etc)
    assert want is None or got == f"environment {want}"


def test_value_in_place_of_a_table_is_refused_although_other_sources_fill_the_table(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "edged.toml").write_text('[cameras.a]\nsource = "/dev/video0"\n')
    (etc / "conf.d/90-local.toml").write_text("\ncameras = 3\n")
    env = credentials(tmp_path, cameras__b__source="rtsp://10.0.0.5/a")
    with pytest.raises(ConfigError, match=r"90-local\.toml:2 cameras = 3: must be a table"):
        load(env=env, etc=etc)


def test_problem_of_a_credential_names_its_file_and_never_shows_it(tmp_path: Path) -> None:
    env = credentials(
        tmp_path, mqtt__host="hunter 2", mqtt__port="hunter", mqtt__pasword="hunter2", cameras__a__source="", x__y="z"
    )
    at = f"credential {env['CREDENTIALS_DIRECTORY']}"
    assert error(env=env).splitlines() == [
        f'{at}/cameras.a.source = ***: must not be empty; write source = "rtsp://192.168.1.40/stream1"',
        f"{at}/mqtt.host = ***: must be a host name or address alone, IPv6 without brackets; "
        "the port goes to mqtt.port, TLS to [mqtt.tls]",
        f"{at}/mqtt.pasword: is not a known key; did you mean password?",
        f"{at}/mqtt.port = ***: must be a whole number, 1..65535; write digits, without quotes",
        f"{at}/x.y: is not a known key; remove it (`edged config reference` lists all keys)",
    ]


def test_credential_is_the_line_of_its_file(tmp_path: Path) -> None:
    env = credentials(tmp_path, mqtt__password="\ufeff a b \r\n", mqtt__username="u", __hidden="not ours")
    assert load(env=env, etc=tmp_path).mqtt.password.get_secret_value() == " a b "


def test_credential_for_a_path_is_the_file_itself(tmp_path: Path) -> None:
    env = credentials(tmp_path, mqtt__tls__key="PEM", mqtt__tls__cert="PEM")
    tls = load(env=env | {"EDGED_MQTT__TLS__ENABLED": "true"}, etc=tmp_path).mqtt.tls
    assert tls.key == Path(env["CREDENTIALS_DIRECTORY"]) / "mqtt.tls.key"


def test_credential_reaches_a_camera_with_a_dash_in_its_name(tmp_path: Path) -> None:
    etc = site(tmp_path, main='[cameras.stall-1]\nsource = "0"')
    env = credentials(tmp_path, **{"cameras__stall-1__password": "s"})
    assert load(env=env, etc=etc).cameras["stall-1"].password.get_secret_value() == "s"


def test_binary_credential_is_rejected_without_showing_it(tmp_path: Path) -> None:
    env = credentials(tmp_path)
    file = Path(env["CREDENTIALS_DIRECTORY"]) / "mqtt.password"
    file.write_bytes(b"hunter\xff")
    assert error(env=env) == f"credential {file}: not UTF-8; save it as UTF-8 text"


def test_missing_credentials_directory_is_reported() -> None:
    got = error(env={"CREDENTIALS_DIRECTORY": "/nowhere"})
    assert got == "environment CREDENTIALS_DIRECTORY = /nowhere: No such file or directory; unset it or correct it"


def test_error_carries_no_cause_that_would_print_the_values(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text('mqtt.password = "hunter2"')
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("old", "new"), RENAMED.items(), ids=RENAMED)
def test_old_key_is_rejected_with_its_new_name(old: str, new: str, tmp_path: Path) -> None:
    old, new = old.replace("<name>", "a"), new.replace("<name>", "a")
    file = tmp_path / "f"
    file.write_text(f"{old} = 1\ncameras.a.source = '0'")
    # keys that must be given beside it are missing too
    assert f"{file}:1 {old}: is not a known key; it is now called {new}; rename it" in error(file).splitlines()


def test_renamed_keys_exist_and_the_old_ones_do_not() -> None:
    keys = {".".join(key) for key in all_keys()}
    assert set(RENAMED.values()) <= keys
    assert not keys & (RENAMED.keys() | REMOVED.keys())


@pytest.mark.parametrize(("old", "do"), REMOVED.items(), ids=REMOVED)
def test_removed_key_is_rejected_with_the_remedy(old: str, do: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(f"{old.replace('<name>', 'a')} = 1\ncameras.a.source = '0'")
    assert error(file).endswith(f": is not a known key; {do}")


def test_path_that_is_not_utf8_is_named() -> None:
    with pytest.raises(ConfigError, match="the name is not UTF-8; rename it, or give the folder"):
        camera_from_source("a\udcff.jpg")


def test_number_is_a_file_of_this_name_before_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert camera_from_source("7").source_kind == "v4l2"
    assert not caplog.messages
    Path("7").touch()
    assert camera_from_source("7").source_kind == "files"
    assert caplog.messages == ["7: the file here; for the camera write /dev/video7"]


def test_folder_may_be_called_as_a_device_or_an_address_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("camera1", "10.0.0.9"):
        with pytest.raises(ConfigError):
            camera_from_source(name)
        Path(name).mkdir()
        assert camera_from_source(name).source_kind == "files"


def test_pose_models_are_those_of_classes_that_a_camera_may_publish() -> None:
    def loaded(*classes: list[str] | None, night: list[str] | None = None) -> list[str]:
        cameras = {f"c{i}": {"source": "0", "enabled": False, "classes": one} for i, one in enumerate(classes)}
        profiles = {"night": {"cameras": {"c0": {"classes": night}}}} if night else {}
        return [*Config.model_validate({"cameras": cameras, "profiles": profiles}).models_in_use.pose]

    both = ["person", "horse"]
    assert loaded(["person"]) == ["person"]
    assert loaded(["person"], ["horse"]) == both
    assert loaded() == loaded(["person"], None) == both  # left out: all
    assert loaded(["person"], night=["horse"]) == both
    assert loaded(["sheep"]) == both  # none of its own: as before
    region = {"source": "0", "classes": ["person"], "static_region": {"label": "horse", "box": [0, 0, 9, 9]}}
    assert [*Config.model_validate({"cameras": {"a": region}}).models_in_use.pose] == ["horse"]
