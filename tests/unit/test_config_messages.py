"""One row for every kind of invalid configuration, with the exact message."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import ValidationError

from edged.config.load import load, read_layers
from edged.config.messages import SECRET_NAMES, SENTENCES
from edged.config.schema import all_keys, node_at, schema
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.config_check import check_layers
from edged.errors import ConfigError
from edged.secret_address import redact

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CAMERA = '[cameras.a]\nsource = "0"\n'

ROWS = {
    # the words of pydantic
    "too_large": (CAMERA + "fps = 300", "F:3 cameras.a.fps = 300: must be 0..240 Hz; lower it"),
    "too_small": ("[mqtt]\nport = 0", "F:2 mqtt.port = 0: must be 1..65535; raise it"),
    "not_above": (
        "publish.store_max_days = 0",
        "F:1 publish.store_max_days = 0: must be above 0, at most 365 days; raise it",
    ),
    "text_for_whole_number": (
        '[mqtt]\n\nport = "1883"',
        'F:3 mqtt.port = "1883": must be a whole number, 1..65535; write digits, without quotes',
    ),
    "fraction_for_whole_number": (
        "mqtt.port = 1883.0",
        "F:1 mqtt.port = 1883.0: must be a whole number, 1..65535; write digits, without quotes",
    ),
    "flag_for_whole_number": (
        "compute.threads = true",
        "F:1 compute.threads = true: must be a whole number, 0..64 threads; write digits, without quotes",
    ),
    "text_for_number": (
        CAMERA + 'fps = "30"',
        'F:3 cameras.a.fps = "30": must be a number, 0..240 Hz; write digits, without quotes',
    ),
    "nan": (CAMERA + "fps = nan", "F:3 cameras.a.fps = nan: must be a number, 0..240 Hz; write digits"),
    "text_for_flag": (
        CAMERA + 'loop = "yes"',
        'F:3 cameras.a.loop = "yes": must be true or false; write it without quotes',
    ),
    "number_for_flag": (
        "mqtt.tls.enabled = 1",
        "F:1 mqtt.tls.enabled = 1: must be true or false; write it without quotes",
    ),
    "number_for_text": (
        "device.name = 7",
        "F:1 device.name = 7: must be text, at most 80 characters; write it in quotes",
    ),
    "date_for_text": (
        "device.name = 2026-01-02",
        "F:1 device.name = 2026-01-02: must be text, at most 80 characters; write it in quotes",
    ),
    "number_for_path": ("models.store = 5", "F:1 models.store = 5: must be a path; write it in quotes"),
    "empty_path": ('models.mirror = ""', 'F:1 models.mirror = "": must be a path; to go without, leave the key out'),
    "path_of_a_shell": (
        'models.mirror = "~/m"',
        'F:1 models.mirror = "~/m": must be a whole path, as /home/… is; ~ is no folder of the user that the daemon '
        "runs as",
    ),
    "line_with_controls": (
        'mqtt.username = "a\\u0000"',
        'F:1 mqtt.username = "a\\u0000": must be one line of text, without control characters; type it anew',
    ),
    "point_of_one_number": (
        CAMERA + "stall.floor = [[1], [2, 2], [3, 3]]",
        "F:3 cameras.a.stall.floor[0] = [1]: must be a point [x, y], -16384..16384 px; add what is missing",
    ),
    "no_path_of_any_system": (
        'device.state_dir = "/var\\u0000"',
        'F:1 device.state_dir = "/var\\u0000": must be a path; to go without, leave the key out',
    ),
    "text_for_list": (
        CAMERA + 'size = "1280x720"',
        'F:3 cameras.a.size = "1280x720": must be 2 whole numbers, 16..16384 px; write size = [1280, 720]',
    ),
    "list_too_short": (
        CAMERA + "roi = [0,\n 1]",
        "F:3 cameras.a.roi = [0, 1]: must be 4 whole numbers, 0..16384 px; add what is missing",
    ),
    "list_too_long": (
        CAMERA + "size = [640, 480, 3]",
        "F:3 cameras.a.size = [640, 480, 3]: must be 2 whole numbers, 16..16384 px; remove the rest",
    ),
    "one_in_a_list": (CAMERA + "size = [640,\n 8]", "F:4 cameras.a.size[1] = 8: must be 16..16384 px; raise it"),
    "polygon_of_two": (
        CAMERA + "masks = [\n [[0, 0], [1, 1], [2, 0]],\n [[0, 0], [1, 1]]]",
        "F:5 cameras.a.masks[1] = [[0, 0], [1, 1]]: must be at least 3 points [x, y], -16384..16384 px; "
        "add what is missing",
    ),
    "list_of_addresses": (
        CAMERA + 'size = ["rtsp://u:hunter2@10.0.0.1/s", [["rtsp://u:hunter2@10.0.0.1/s"]], { password = "hunter2" }]',
        'F:3 cameras.a.size = ["rtsp://***@10.0.0.1/…", [["rtsp://***@10.0.0.1/…"]], "***"]: '
        "must be 2 whole numbers, 16..16384 px; write size = [1280, 720]",
    ),
    "list_without_its_lists": (
        CAMERA + "person_down.beds = [[0, 0], [1, 1],\n [2, 0]]",
        "F:3 cameras.a.person_down.beds = [[0, 0], [1, 1], [2, 0]]: must be a list of lists, each of at least 3 points "
        "[x, y], -16384..16384 px; write beds = [[[100, 500], [300, 500], [280, 400], [120, 400]]]",
    ),
    "list_of_too_many_lists": (
        CAMERA + "stall.floor = [[[0, 0], [1, 1], [2, 0]]]",
        "F:3 cameras.a.stall.floor = [[[0, 0], [1, 1], [2, 0]]]: must be at least 3 points [x, y], -16384..16384 px; "
        "write floor = [[80, 700], [1200, 700], [1000, 300], [300, 300]]",
    ),
    "text_for_a_list": (
        '[mqtt]\nhosts = "node-2"',
        'F:2 mqtt.hosts = "node-2": must be a list of at most 16 texts; write hosts = ["10.0.0.12", '
        '"node-3.example:8884"]',
    ),
    "long_list": (
        CAMERA + f"size = {[640] * 20}",
        "F:3 cameras.a.size = a list of 20 values: must be 2 whole numbers, 16..16384 px; remove the rest",
    ),
    "nothing_to_look_for": (
        CAMERA + "classes = []",
        "F:3 cameras.a.classes = []: must be one or more texts; add what is missing",
    ),
    "bad_point_counts_once": (
        CAMERA + 'masks = [[[0, 0], [1, 1], [2, "x"]]]',
        'F:3 cameras.a.masks[0][2][1] = "x": must be a number, -16384..16384 px; write digits, without quotes',
    ),
    "point_beyond_any_image": (
        CAMERA + "masks = [[[0, 0], [1e300, 1], [2, 0]]]",
        "F:3 cameras.a.masks[0][1][0] = 1e+300: must be -16384..16384 px; lower it",
    ),
    "no_such_choice": (CAMERA + "rotate = 45", "F:3 cameras.a.rotate = 45: must be one of 0, 90, 180, 270; correct it"),
    "no_such_version": ("version = 2", "F:1 version = 2: must be 1; correct it"),
    "empty_text": (
        CAMERA + 'static_region.label = ""\nstatic_region.box = [0, 0, 9, 9]',
        'F:3 cameras.a.static_region.label = "": must not be empty; write label = "horse"',
    ),
    "text_too_long": (
        f'device.name = "{"x" * 81}"',
        f'F:1 device.name = "{"x" * 71}…: must be text, at most 80 characters; shorten it',
    ),
    "missing": (
        "\n[cameras.a]\nfps = 5",
        'F:2 cameras.a.source: must be given; add source = "rtsp://192.168.1.40/stream1"',
    ),
    "list_for_table": (
        'mqtt = ["hunter2"]',
        "F:1 mqtt = a list of 1 value: must be a table; write its keys below a [mqtt] header",
    ),
    "text_for_table_of_names": (
        "cameras = 1",
        "F:1 cameras = 1: must be a table; write its keys below a [cameras.NAME] header",
    ),
    "array_of_tables": (
        '[[cameras]]\nsource = "0"',
        "F:1 cameras = a list of 1 value: must be a table; write its keys below a [cameras.NAME] header",
    ),
    "camera_without_a_name": (
        '[cameras]\nsource = "0"',
        'F:2 cameras.source = "0": must be a table; write its keys below a [cameras.NAME] header',
    ),
    "table_of_names_and_values": (
        'models.pose = "rtmpose-t-coco17"',
        'F:1 models.pose = "rtmpose-t-coco17": must be a table; write its keys below a [models.pose] header',
    ),
    "lens_in_mm": (
        CAMERA + "intrinsics = { fx = 3.6, fy = 3.6, cx = 320, cy = 240 }",
        "F:3 cameras.a.intrinsics: fx and fy must be in px, as cx and cy are: of a focal length in mm, multiply by the "
        "image's width in px and divide by the sensor's in mm",
    ),
    "sign_in_a_password": (
        '[cameras.a]\nsource = "rtsp://u:p@ss/w@10.0.0.9/a"',
        'F:2 cameras.a.source = "rtsp://***@10.0.0.9/…": must be rtsp://host[:port]/path; in a password write %23 %2F '
        "%3F %40 for # / ? and the at sign",
    ),
    "hash_in_an_address": (
        '[cameras.a]\nsource = "rtsp://u:1#2@10.0.0.9/a"',
        'F:2 cameras.a.source = "rtsp://***@10.0.0.9/…": must be rtsp://host[:port]/path; in a password write %23 %2F '
        "%3F %40 for # / ? and the at sign",
    ),
    "address_without_rtsp": (
        '[cameras.a]\nsource = "10.0.0.9:554/stream1"',
        'F:2 cameras.a.source = "10.0.0.9:554/stream1": must be rtsp://…, rtsps://…, csi:N, a device or a path; write '
        "rtsp:// in front of the address",
    ),
    "device_as_others_call_it": (
        '[cameras.a]\nsource = "usb:1"',
        'F:2 cameras.a.source = "usb:1": must be the number of a device, or its path; write "1" for /dev/video1',
    ),
    "score_of_a_class": (CAMERA + "thresholds.horse = 2", "F:3 cameras.a.thresholds.horse = 2: must be 0..1; lower it"),
    # unknown keys
    "misspelt": (CAMERA + "fsp = 3", "F:3 cameras.a.fsp: is not a known key; did you mean fps?"),
    "in_a_profile": (
        CAMERA + '[profiles.night.cameras.a]\nsource = "1"',
        "F:4 profiles.night.cameras.a.source: is not a known key; a profile does not change it; set it in the camera's "
        "own table",
    ),
    "capitals": ('[mqtt]\nHost = "x"', "F:2 mqtt.Host: is not a known key; did you mean host?"),
    "in_the_wrong_table": (
        "[mqtt.tls]\nreconnect_max_s = 5",
        "F:2 mqtt.tls.reconnect_max_s: is not a known key; did you mean mqtt.reconnect_max_s?",
    ),
    "like_nothing": (
        "xyzzy = 1",
        "F:1 xyzzy: is not a known key; remove it (`edged config reference` lists all keys)",
    ),
    "word_of_another_program": (
        '[cameras.a]\nurl = "rtsp://h/s"',
        "F:2 cameras.a.url: is not a known key; did you mean source?",
    ),
    "http": (
        '[cameras.a]\nsource = "http://x/"',
        'F:2 cameras.a.source = "http://x/": must be the camera\'s rtsp:// address; for one without RTSP, go2rtc makes '
        "it of HTTP: configs/README.md",
    ),
    "foaling_window_the_wrong_way_round": (
        CAMERA + "stall.foaling_window = { start = 2027-04-15, end = 2027-03-01 }",
        "F:3 cameras.a.stall.foaling_window: start must not be after end; swap them",
    ),
    "unknown_table": ("[camera.a]\nfps = 3", "F:1 camera: is not a known key; did you mean cameras?"),
    # rules of our own
    "name_of_a_camera": (
        '[cameras."Stall 1"]\nsource = "0"',
        'F:1 cameras."Stall 1": must be 1 to 63 of a-z 0-9 _ -, a letter or digit first',
    ),
    "line_break_in_a_name": (
        'models.detector = "a\\n"',
        'F:1 models.detector = "a\\n": must be 1 to 63 of a-z 0-9 _ -, a letter or digit first',
    ),
    "topic": (
        'mqtt.base_topic = "/edged/#"',
        'F:1 mqtt.base_topic = "/edged/#": must be topic levels, like site/edged; no space, # or +, no / at '
        "either end, no $ in front",
    ),
    "topic_of_two_lines": (
        'mqtt.base_topic = "site\\u0000"',
        'F:1 mqtt.base_topic = "site\\u0000": must be topic levels, like site/edged; no space, # or +, no / at '
        "either end, no $ in front",
    ),
    "topic_longer_than_a_broker_takes": (
        f'mqtt.base_topic = "{"x" * 1025}"',
        f'F:1 mqtt.base_topic = "{"x" * 71}…: must be 1024 bytes or less; every topic begins with it',
    ),
    "address_for_host": (
        'mqtt.host = "mqtt://10.0.0.2:1883"',
        'F:1 mqtt.host = "mqtt://10.0.0.2:1883": must be a host name or address alone, IPv6 without '
        "brackets; the port goes to mqtt.port, TLS to [mqtt.tls]",
    ),
    "port_in_host": (
        'mqtt.host = "broker:1883"',
        'F:1 mqtt.host = "broker:1883": must be a host name or address alone, IPv6 without '
        "brackets; the port goes to mqtt.port, TLS to [mqtt.tls]",
    ),
    "region_turned": (
        CAMERA + "roi = [100, 0, 50, 80]",
        "F:3 cameras.a.roi = [100, 0, 50, 80]: must be [x0, y0, x1, y1], x1 and y1 at least 8 px beyond x0 and y0",
    ),
    "no_such_scheme": (
        '[cameras.a]\nsource = "rtmp://x/"',
        'F:2 cameras.a.source = "rtmp://x/": must be rtsp://…, rtsps://…, csi:N, a device or a path; '
        "other addresses cannot be opened",
    ),
    "csi_without_number": (
        '[cameras.a]\nsource = "csi:left"',
        'F:2 cameras.a.source = "csi:left": must be csi:<sensor number>; write csi:0 for the first sensor',
    ),
    "source_of_two_lines": (
        '[cameras.a]\nsource = "a\\nb"',
        'F:2 cameras.a.source = "a\\nb": must be one line of printable text',
    ),
    "cert_without_key": (
        '[mqtt]\n[mqtt.tls]\ncert = "c"',
        "F:2 mqtt.tls: cert and key must come together; give both or neither",
    ),
    "dark_above_bright": (
        CAMERA + "[cameras.a.quality]\nmin_brightness = 250",
        "F:3 cameras.a.quality: min_brightness must be below max_brightness; lower the one or raise the other",
    ),
    # secrets
    "address_with_space": (
        '[cameras.a]\nsource = "rtsp://u:a b@cam/s "',
        'F:2 cameras.a.source = "rtsp://***@cam/…": has a space, which an address may not hold; remove it, '
        "or write %20 for it",
    ),
    "scheme_twice": (
        '[cameras.a]\nsource = "rtsp://rtsp://cam/s"',
        'F:2 cameras.a.source = "rtsp://rtsp:/…": must be rtsp://host[:port]/path; '
        "in a password write %23 %2F %3F %40 for # / ? and the at sign",
    ),
    "address_with_secret": (
        '[cameras.a]\nsource = "rtsp://admin:hunter2@cam:port/s?x=1"',
        'F:2 cameras.a.source = "rtsp://***@cam:port/…": must be rtsp://host[:port]/path; '
        "in a password write %23 %2F %3F %40 for # / ? and the at sign",
    ),
    "address_with_slash_in_secret": (
        '[cameras.a]\nsource = "rtsp://admin:hun/ter@2@cam/s"',
        'F:2 cameras.a.source = "rtsp://***@cam/…": must be rtsp://host[:port]/path; '
        "in a password write %23 %2F %3F %40 for # / ? and the at sign",
    ),
    "address_with_secret_parameter": (
        '[cameras.a]\nsource = "rtmp://cam/user=admin&password=hunter2&ch=1"',
        'F:2 cameras.a.source = "rtmp://cam/…": must be rtsp://…, rtsps://…, csi:N, '
        "a device or a path; other addresses cannot be opened",
    ),
    "secret_not_in_quotes": ("mqtt.password = 123456", "F:1 mqtt.password = ***: must be text; write it in quotes"),
    "table_inside_another": (
        CAMERA + "profiles = 1",
        "F:3 cameras.a.profiles: is not a known key; profiles stands outside of all tables, or is a table [profiles] "
        "itself; move it there",
    ),
    "secret_in_a_misspelt_key": (
        'mqtt.pasword = "hunter2"',
        "F:1 mqtt.pasword: is not a known key; did you mean password?",
    ),
    "secret_without_user": (
        '[mqtt]\npassword = "hunter2"',
        "F:1 mqtt: password must come with a username; give mqtt.username too",
    ),
    # not TOML
    "no_value": ("[mqtt]\nport =", "F:2: not TOML: Invalid value; correct it"),
    "secret_in_a_broken_line": (
        '[mqtt]\npassword = "hun"ter2"',
        'F:2: not TOML at column 17: the value ended before it; text goes into quotes, "like this", and text with a " '
        "in it into single ones",
    ),
    "text_without_quotes": (
        "[mqtt]\nhost = hunter.example",
        'F:2: not TOML at column 8: text goes into quotes, "like this"; true and false are written without',
    ),
    "address_without_quotes": (
        "[mqtt]\nhost = 192.168.20.2",
        'F:2: not TOML at column 15: the value ended before it; text goes into quotes, "like this", and text with a " '
        "in it into single ones",
    ),
    **{
        f"path_of_windows_{folder}": (
            f'[models]\nstore = "C:\\{folder}\\edged"',
            r"""F:2: not TOML at column 14: a \ between " begins an escape, as \n; """
            "write this text between single quotes",
        )
        for folder in ("Users", "data")
    },
    "key_twice": ("[mqtt]\nport = 1\nport = 2\n", "F:3: this key is given twice; remove one of them"),
    "table_twice": ("[mqtt]\n[mqtt]\n", "F:2: this table is given twice; put its keys under one header"),
    "added_to_inline_table": (
        "mqtt = { }\nmqtt.port = 1\n",
        "F:2: an inline table is closed with its }; put the key inside",
    ),
    "open_text": ('device.name = "x', "F:1: not TOML: Unterminated string; correct it"),
    "too_deep": ("a = " + "[" * 9000, "F: lists or tables lie too deep in each other; flatten them"),
    "too_many_digits": ("a = " + "9" * 5000, None),
}


@pytest.mark.parametrize("row", ROWS)
def test_problem_has_place_got_wanted_and_remedy(row: str, tmp_path: Path) -> None:
    text, want = ROWS[row]
    file = tmp_path / "site.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    got = str(caught.value).replace(str(file), "F")
    assert "hun" not in got
    if want is not None:
        assert got == want
        assert redact(got).count(" ") == got.count(" "), "no word is lost where the command prints it"


def kinds(text: str) -> set[str]:
    """What pydantic calls the faults of a text."""
    try:
        Config.model_validate(tomllib.loads(text))
    except ValidationError as error:
        return {fault["type"] for fault in error.errors()}
    except (ValueError, RecursionError):  # not TOML
        return set()
    return set()


def test_every_sentence_of_the_table_is_used_by_a_row() -> None:
    """Sentences for rules that the tree does not have would only rot."""
    assert {kind for text, _ in ROWS.values() for kind in kinds(text)} == set(SENTENCES)


def test_problems_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[cameras.b]\nsource = ""\nfps = -1\n[mqtt]\nport = 0\nnope = 1\n[device]\nid = "A"\n')
    with pytest.raises(ConfigError) as caught:
        load(file, env={"EDGED_MQTT__HOST": "", "EDGED_COMPUTE__THREADS": "99"})
    places = [line.split(" = ")[0].replace(str(file), "F") for line in str(caught.value).splitlines()]
    assert places == [
        "F:2 cameras.b.source",
        "F:3 cameras.b.fps",
        "F:5 mqtt.port",
        "F:6 mqtt.nope: is not a known key; remove it (`edged config reference` lists all keys)",
        "F:8 device.id",
        "environment EDGED_COMPUTE__THREADS",
        "environment EDGED_MQTT__HOST",
    ]


@pytest.mark.parametrize(
    ("make", "want"),
    [
        (lambda path: None, "F: no such file; check the path"),
        (lambda path: path.mkdir(), "F: is a directory; name a file in it"),
        (lambda path: path.write_bytes(b"a = 1\n# \xff"), "F:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (lambda path: path.write_bytes(b"#" * (1 << 20) + b"#"), "F: larger than 1 MiB; name a configuration file"),
        (lambda path: path.symlink_to("/dev/zero"), "F: larger than 1 MiB; name a configuration file"),
    ],
    ids=["missing", "directory", "latin-1", "large", "endless"],
)
def test_file_that_cannot_be_read(make: object, want: str, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "f")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "f", env={})
    assert str(caught.value).replace(str(tmp_path / "f"), "F") == want


@contextmanager
def plain_user() -> Iterator[None]:
    """Root may read every file; somebody else may not."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["edged.toml", "conf.d", "."])
def test_unreadable_file_is_not_treated_as_absent(closed: str) -> None:
    with TemporaryDirectory() as directory:  # not below tmp_path, which is closed to others altogether
        etc = Path(directory)
        etc.chmod(0o755)
        (etc / "edged.toml").touch()
        (etc / "conf.d").mkdir()
        (etc / closed).chmod(0o000)
        with plain_user(), pytest.raises(ConfigError) as caught:
            load(etc=etc, env={})
        etc.chmod(0o755)
    assert str(caught.value) == f"{etc / closed}: may not be read by this user; give it read access"


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n", b"\xef\xbb\xbf# saved on Windows\r\n"])
def test_empty_file_means_all_defaults(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(content)
    assert load(file, env={}) == load(etc=tmp_path, env={})


@pytest.mark.parametrize("seed", range(150))
def test_random_bytes_give_a_configuration_or_a_config_error(seed: int, tmp_path: Path) -> None:
    dice, file = random.Random(seed), tmp_path / "f"
    good = Path(__file__).parents[2].joinpath("configs/barn.toml").read_bytes()
    if seed % 3 == 0:
        file.write_bytes(dice.randbytes(dice.randrange(200)))
    else:
        spoilt = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(spoilt))
            spoilt[at : at + dice.randrange(3)] = dice.choice(
                [b"", b'"', b"[", b"=", b"\n", b"{", b"-1", b"'''", b"\x00"]
            )
        file.write_bytes(spoilt)
    try:
        checked = check_layers(read_layers(file, env={}))
    except ConfigError as error:
        assert all(line.startswith(str(file)) for line in str(error).splitlines())  # noqa: PT017
        return
    assert all(problem.text.startswith((str(file), "configuration")) for problem in checked.problems + checked.remarks)
    if not checked.problems:
        load(file, env={})


def test_names_of_secrets_are_those_of_the_schema() -> None:
    assert {key[-1] for key in all_keys() if (node := node_at(key)) and node.is_secret} == SECRET_NAMES


def test_contradiction_shows_no_secret(tmp_path: Path) -> None:
    (path := tmp_path / "f.toml").write_text('[panel]\ntoken = "hunter2"\nhost = "0.0.0.0"\n')
    layers = read_layers(path, env={})
    assert layers.contradiction(("panel", "token"), "is short", "hunter2").text.endswith("panel.token = ***: is short")
    assert layers.contradiction(("panel", "host"), "is all", "0.0.0.0").text.endswith('panel.host = "0.0.0.0": is all')


def test_schema_is_the_one_that_pydantic_makes() -> None:
    assert schema() == {"$schema": schema()["$schema"]} | Config.model_json_schema() | {"title": schema()["title"]}


@pytest.mark.parametrize("rest", ["h/a@1", "10.0.0.9/user@barn.example", "h/live#1", "[::1]/a@10.0.0.9", "h/a?b=1@2"])
def test_signs_in_a_path_are_no_part_of_a_password(rest: str) -> None:
    assert CameraConfig.model_validate({"source": f"rtsp://u:p@{rest}"}).source.reveal().endswith(rest)
