import argparse
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

from edged.commands import check, config, doctor, provision
from edged.commands import run as run_command
from edged.errors import ConfigError

BARN = Path(__file__).parents[2] / "configs/barn.toml"
SIZED = '[cameras.a]\nsource = "0"\nsize = [640, 480]\n'

STALL = "[cameras.a.stall]\nenabled = true\nfloor = [[20, 470], [400, 470], [330, 230], [90, 230]]\n"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("EDGED_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(variable)


def run(module: object, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.arguments(parser)  # type: ignore[attr-defined]
    return int(module.run(parser.parse_args(words)))  # type: ignore[attr-defined]


def refused(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "F"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        run(check, str(file))
    return [line.replace(str(file), "F") for line in str(caught.value).splitlines()]


def test_zone_of_an_invalid_name_hides_no_other_error(tmp_path: Path) -> None:
    text = SIZED + 'classes = ["cow"]\nstall.zones.Feeder = [[30, 460], [200, 460], [200, 300]]\n'
    lines = refused(tmp_path, text)
    assert [line.split(" ")[1].rstrip(":") for line in lines] == [
        "cameras.a.classes[0]",
        "cameras.a.stall.zones.Feeder",
    ]


def test_valid_file_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    file = BARN.with_name("person.toml")
    assert run(check, str(file)) == 0
    assert capsys.readouterr().out == (f"ok: 1 camera, broker 127.0.0.1:1883, detector det-person-horse; read {file}\n")


def test_disabled_cameras_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f"
    file.write_text(SIZED + '[cameras.b]\nsource = "1"\nenabled = false')
    run(check, str(file))
    assert capsys.readouterr().out.startswith("ok: 1 camera (1 not enabled), ")


def test_invalid_keys_and_contradictions_are_reported_in_one_run(tmp_path: Path) -> None:
    text = """version = 2
mqtt = { port = 0, password = "x" }
models.detector = "xyzzy"
[cameras.a]
source = "rtsp://10.0.0.1/a"
fps = 999
size = [640, 480]
roi = [0, 0, 641, 480]
[cameras.b]
source = "rtsp://10.0.0.1/a"
masks = [[1, 2]]
[cameras.b.stall]
enabled = true
floor = [[0, 0], [9, 9], [9, 0], [0, 9]]
zones.feader = [[0, 0], [9, 0], [9, 9]]
"""
    assert [line.partition(": ")[0] for line in refused(tmp_path, text)] == [
        "F:1 version = 2",
        "F:2 mqtt.port = 0",
        "F:2 mqtt",  # the table's own check
        'F:3 models.detector = "xyzzy"',
        "F:6 cameras.a.fps = 999",
        "F:8 cameras.a.roi = [0, 0, 641, 480]",
        'F:10 cameras.b.source = "rtsp://10.0.0.1/…"',
        "F:11 cameras.b.masks = [[1, 2]]",
        "F:14 cameras.b.stall.floor = [[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]]",
        "remark",
    ]


MISSHAPEN = "F:6 cameras.a.stall.floor = [[[20], 470], [400, 470], [330, 230], [90, 230]]"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        # a default in place of the invalid detector does not make `cat` wrong, nor one of the size the roi
        ('models.detector = 3\n[cameras.a]\nsource = "0"\nclasses = ["cat"]', ["F:1 models.detector = 3"]),
        ('[cameras.a]\nsource = "0"\nsize = 1\nroi = [0, 0, 9000, 9000]', ["F:3 cameras.a.size = 1"]),
        ("[cameras.a]\nsource = 0\n[cameras.b]\nsource = 0", ["F:2 cameras.a.source = 0", "F:4 cameras.b.source = 0"]),
        ('[mqtt]\nusername = 7\npassword = "x"', ["F:2 mqtt.username = 7"]),
        (SIZED + STALL.replace("[[20", "[[[20") + "open_sides = [3]", [MISSHAPEN]),
        ('[cameras.a]\nurl = "rtsp://10.0.0.1/a"', ["F:2 cameras.a.url"]),
    ],
)
def test_invalid_key_causes_no_other_problem(text: str, want: list[str], tmp_path: Path) -> None:
    lines = refused(tmp_path, text.replace("[[[20, 470],", "[[[20], 470],"))
    assert [line.partition(": ")[0] for line in lines if not line.startswith("remark")] == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            'models.detector = "det-person-hors"',
            'F:1 models.detector = "det-person-hors": is not in the catalogue; did you mean det-person-horse?',
        ),
        (
            'models.detector = "xyzzy"',
            'F:1 models.detector = "xyzzy": is not in the catalogue; see `edged models list`',
        ),
        (
            'models.pose.person = "det-person-horse"',
            'F:1 models.pose.person = "det-person-horse": is a card of task detect; want one of task pose: ',
        ),
        (
            'models.pose.cat = "rtmpose-t-lsp14"',
            "F:1 models.pose.cat = \"rtmpose-t-lsp14\": the detector does not know 'cat'; "
            "want one of person, horse, or another models.detector",
        ),
        ('device.id = "fleet"', 'F:1 device.id = "fleet": must be another name: messages for groups'),
        ('models.lift = "rootnet"', 'F:1 models.lift = "rootnet": is a card of task root; want one of task lift: '),
        (
            SIZED
            + 'lift = true\nstatic_region = { label = "person", box = [0, 0, 9, 9] }\n'
            + '[models]\nlift = "convnextpose-s"',
            "F:4 cameras.a.lift = true: needs a detector, and a static region runs none; remove one of the two",
        ),
        (
            SIZED + 'classes = ["horse",\n "cat"]',
            "F:5 cameras.a.classes[1] = \"cat\": the detector does not know 'cat'; want one of person, horse",
        ),
        (SIZED + "thresholds.cat = 0.5", "F:4 cameras.a.thresholds.cat = 0.5: the detector does not know 'cat'; "),
        (
            SIZED + '[cameras.a.static_region]\nlabel = "mare"\nbox = [0, 0, 9, 9]',
            "F:5 cameras.a.static_region.label = \"mare\": the detector does not know 'mare'; ",
        ),
        (
            SIZED + '[cameras.a.static_region]\nlabel = "horse"\nbox = [0, 0, 9, 9]\n'
            '[models.pose]\nperson = "rtmpose-t-lsp14"',
            'F:5 cameras.a.static_region.label = "horse": needs a pose model, which alone shows that the region ',
        ),
        (
            SIZED + "roi = [0, 0, 641, 480]",
            "F:4 cameras.a.roi = [0, 0, 641, 480]: must lie inside the upright image of 640 x 480 px; "
            "correct it, or size and rotate",
        ),
        (
            SIZED + "rotate = 90\nroi = [0, 0, 640, 480]",
            "F:5 cameras.a.roi = [0, 0, 640, 480]: must lie inside the upright image of 480 x 640 px; ",
        ),
        (
            SIZED + '[cameras.a.static_region]\nlabel = "horse"\nbox = [-1, 0, 9, 9]',
            "F:6 cameras.a.static_region.box = [-1.0, 0.0, 9.0, 9.0]: must lie inside the upright image of 640 x 480 ",
        ),
        (
            SIZED + "intrinsics = { fx = 1400, fy = 1400, cx = 960, cy = 540 }",
            "F:4 cameras.a.intrinsics: has its centre at 960, 540, outside the upright image of 640 x 480",
        ),
        (
            SIZED + "masks = [[[0, 0], [9, 0], [9, 9]],\n[[0, 0], [9, 0], [9, 481]]]",
            "F:5 cameras.a.masks[1] = [[0.0, 0.0], [9.0, 0.0], [9.0, 481.0]]: must lie inside the upright image of ",
        ),
        (
            SIZED + STALL + "zones.hay = [[500, 10], [600, 10], [600, 60]]",
            "F:7 cameras.a.stall.zones.hay = [[500.0, 10.0], [600.0, 10.0], [600.0, 60.0]]: lies 278 px outside",
        ),
        (
            SIZED + STALL + "zones.hay = [[0, 300], [700, 300], [600, 400]]",
            "F:7 cameras.a.stall.zones.hay = [[0.0, 300.0], [700.0, 300.0], [600.0, 400.0]]: "
            "(700.0, 300.0) lies outside the image of 640 x 480 px; ",
        ),
        (
            SIZED + STALL + "open_sides = [4]",
            "F:7 cameras.a.stall.open_sides = [4]: side 4: the floor has sides 0 to 3",
        ),
        (
            SIZED + "[cameras.a.stall]\nenabled = true\nfloor = [[0, 0], [9, 9], [9, 0], [0, 9]]",
            "F:6 cameras.a.stall.floor = [[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]]: "
            "its outline crosses itself: side 0 from (0, 0) to (9, 9) and side 2 from (9, 0) to (0, 9); ",
        ),
        (
            '[cameras.a]\nsource = "0"\nmasks = [[[0, 0], [9, 9], [9, 0], [0, 9]]]',
            "F:3 cameras.a.masks[0] = [[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]]: its outline crosses itself",
        ),
        (
            '[cameras.a]\nsource = "0"\nstall.enabled = false\nstall.zones.hay = [[0, 0], [4, 4], [9, 9]]',
            "F:4 cameras.a.stall.zones.hay = [[0.0, 0.0], [4.0, 4.0], [9.0, 9.0]]: its corners lie on one line",
        ),
        (
            '[cameras.a]\nsource = "0"\nperson_down.enabled = true\n'
            "person_down.beds = [[[0, 0], [9, 9], [9, 0], [0, 9]]]\n"
            "stall.floor = [[20, 470], [400, 470], [330, 230], [90, 230]]\nstall.floor_m = [4, 3.5]",
            "F:4 cameras.a.person_down.beds[0] = [[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]]: its outline "
            "crosses itself",
        ),
        (
            '[cameras.a]\nsource = "0"\nperson_down.enabled = true\nstall.floor = [[20, 470], [400, 470], [330, 230]]\n'
            "stall.floor_m = [4, 3.5]",
            "F:5 cameras.a.stall.floor_m = [4.0, 3.5]: a floor of known size has 4 corners, not 3; draw it so",
        ),
        (
            SIZED + STALL + "floor_m = [0.4, 9.0]",
            "F:7 cameras.a.stall.floor_m = [0.4, 9.0]: ",
        ),
        (
            '[cameras.a]\nsource = "rtsp://u:hunter2@h/s"\n[cameras.b]\nsource = "rtsp://u:hunter2@h/s"',
            'F:4 cameras.b.source = "rtsp://***@h/…": is also the source of cameras.a; remove one of them',
        ),
        (
            '[cameras.a]\nsource = "0"\nfps = 0.001',
            "F:3 cameras.a.fps = 0.001: must be 0 for the source's own rate, or 0.01..240 Hz; raise it",
        ),
        (
            '[cameras.a]\nsource = "/dev/video7"\n[cameras.b]\nsource = "7"',
            'F:4 cameras.b.source = "7": is also the source of cameras.a; remove one of them',
        ),
        (
            '[mqtt.tls]\nca = "/ca.pem"',
            "F:1 mqtt.tls: ca is not used without TLS, and passwords would go in clear text; add enabled = true",
        ),
        (
            f'models.catalogue = "/{"x" * 300}"',
            f'F:1 models.catalogue = "/{"x" * 70}…: /{"x" * 300}: File name too long; want a directory that this user',
        ),
        (
            'models.catalogue = "/nowhere"',
            'F:1 models.catalogue = "/nowhere": /nowhere: not a directory; want one with model cards (*.toml)',
        ),
    ],
)
def test_contradiction_between_keys_is_rejected(text: str, want: str, tmp_path: Path) -> None:
    lines = refused(tmp_path, text if "[cameras" in text else text + '\n[cameras.z]\nsource = "9"\n')
    assert len(lines) == 1
    assert lines[0].startswith(want)


@pytest.mark.parametrize(
    "text",
    [
        SIZED + "rotate = 270\nroi = [0, 0, 480, 640]",
        '[cameras.a]\nsource = "clip.mp4"\n[cameras.b]\nsource = "clip.mp4"',
        '[cameras.a]\nsource = "0"\n[cameras.b]\nsource = "0"\nenabled = false',
        '[cameras.a]\nsource = "0"\nroi = [0, 0, 9000, 9000]',
        'models.detector = "rtmdet-nano-person"\n' + SIZED,
        SIZED + STALL + "zones.rack = [[200, 150], [300, 150], [300, 200]]",
        SIZED + "[cameras.a.stall]\nopen_sides = [9]",
    ],
    ids=[
        "turned",
        "one file twice",
        "the other is off",
        "size not given",
        "default pose models",
        "a rack on the wall",
        "not watched over",
    ],
)
def test_valid_combination_of_keys_passes(text: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    assert run(check, str(file)) == 0


@pytest.mark.parametrize("text", ["", SIZED + "enabled = false"], ids=["none", "none enabled"])
def test_configuration_without_a_camera_is_rejected(text: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(ConfigError, match="no camera"):
        run(check, str(tmp_path / "f"))


def test_config_actions_print_their_document(capsys: pytest.CaptureFixture[str]) -> None:
    run(config, "schema")
    assert json.loads(capsys.readouterr().out)["properties"]["mqtt"]
    run(config, "reference")
    assert capsys.readouterr().out == BARN.with_name("reference.toml").read_text("utf-8")
    run(config, "show", str(BARN), "--origin")
    assert f'id = "barn-east"  # {BARN}:7\n' in capsys.readouterr().out
    run(config, "show", str(BARN))
    assert "#" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [(str(BARN),), ("--config", str(BARN))], ids=["FILE", "--config FILE"])
@pytest.mark.parametrize("module", [check, doctor, provision, run_command], ids=lambda module: module.__name__[15:])
def test_configuration_is_named_in_one_way_everywhere(module: ModuleType, words: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    assert parser.parse_args(words).config == BARN
    assert parser.parse_args([]).config is None


def test_missing_camera_is_reported_beside_other_problems(tmp_path: Path) -> None:
    lines = refused(tmp_path, 'models.detector = "xyzzy"')
    assert [line.partition(";")[0] for line in lines] == [
        'F:1 models.detector = "xyzzy": is not in the catalogue',
        "no camera is configured and enabled",
    ]


@pytest.mark.parametrize(
    ("profiles", "line"),
    [
        ("[profiles.n.cameras.a]\nalarms = false", "alarms"),
        ("[profiles.n.cameras.b]\nalerts = false", "is no camera; want one of a"),
        ("[profiles.n.cameras.a]\nthresholds.hose = 0.5", "hose"),
        ("[profiles.auto]\n", "mean something to the command `profile`"),
        ('[profiles.n]\nstart = "21:00"', "give both or neither"),
        ('[profiles.n]\nstart = "21:00"\nend = "21:00"', "start must differ from end"),
        ('[profiles.n]\nstart = "24:00"\nend = "01:00"', "from 00:00 to 23:59"),
        (
            '[profiles.m]\nstart = "21:00"\nend = "05:00"\n[profiles.n]\nstart = "04:00"\nend = "06:00"',
            "overlaps with the profile m at 04:00; move one",
        ),
        (
            '[profiles.m]\nstart = "04:00"\nend = "06:00"\n[profiles.n]\nstart = "21:00"\nend = "04:01"',
            "overlaps with the profile m at 04:00; move one",
        ),
    ],
)
def test_wrong_profile_is_refused_and_named(tmp_path: Path, profiles: str, line: str) -> None:
    (found,) = (one for one in refused(tmp_path, SIZED + profiles) if not one.startswith("remark"))
    assert line in found
    assert "profiles" in found


def test_timetables_that_touch_do_not_overlap(tmp_path: Path) -> None:
    file = tmp_path / "f"
    times = '[profiles.m]\nstart = "21:00"\nend = "05:00"\n[profiles.n]\nstart = "05:00"\nend = "21:00"\n'
    file.write_text(SIZED + times)
    assert run(check, str(file)) == 0


def test_one_stream_with_two_logins_is_one_source(tmp_path: Path) -> None:
    text = """[cameras.a]
source = "rtsp://u:p@10.0.0.9/s"
[cameras.b]
source = "rtsp://10.0.0.9:554/s"
[cameras.c]
source = "rtsp://10.0.0.9/t"
"""
    assert refused(tmp_path, text) == [
        'F:4 cameras.b.source = "rtsp://10.0.0.9:554/…": is also the source of cameras.a; remove one of them'
    ]


def test_corners_as_shares_of_the_image_are_refused(tmp_path: Path) -> None:
    text = SIZED + "masks = [[[0, 0], [0.5, 0], [0, 0.4]]]\n[cameras.a.stall]\nfloor = [[0, 0], [1, 0], [1, 1]]\n"
    lines = [line for line in refused(tmp_path, text) if not line.startswith("remark")]
    assert [line.partition(": ")[0].split(" = ")[0] for line in lines] == [
        "F:4 cameras.a.masks[0]",
        "F:6 cameras.a.stall.floor",
    ]
    assert all("not in shares of the image" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "kind"), [("mqtt:\n  host: 10.0.0.2\n", "YAML"), ('{"mqtt": {"host": "10.0.0.2"}}', "JSON")]
)
def test_file_of_another_format_is_named(text: str, kind: str, tmp_path: Path) -> None:
    assert f"F:1: this is {kind}, and the file is read as TOML: " in refused(tmp_path, text)[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_two_servers_on_one_port_and_formats_of_other_cameras_are_refused(host: str, tmp_path: Path) -> None:
    text = SIZED + 'format = "h264"\n[cameras.b]\nsource = "rtsp://10.0.0.9/s"\nformat = "mjpg"\n'
    text += "[panel]\nenabled = true\nport = 9000\n"
    text += f'[prometheus]\nenabled = true\nport = 9000\nhost = "{host}"\n'
    assert refused(tmp_path, text) == [
        'F:4 cameras.a.format = "h264": want one of auto, mjpg, yuyv, nv12, gray for v4l2',
        'F:7 cameras.b.format = "mjpg": want one of auto, h264, h265 for rtsp',
        "F:10 panel.port = 9000: is also prometheus.port; change one of the two",
    ]


@pytest.mark.parametrize("apart", ["port = 0", 'port = 9000\nhost = "127.0.0.2"'])
def test_two_servers_apart_are_no_violation(apart: str, tmp_path: Path) -> None:
    (file := tmp_path / "F").write_text(
        f"{SIZED}[panel]\nenabled = true\n{apart}\n[prometheus]\nenabled = true\n{apart.partition('host')[0]}\n"
    )
    assert run(check, str(file)) == 0
