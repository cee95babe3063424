"""Every remark, and that a configuration without a fault gets none."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from edged.config.load import read_layers
from edged.config_check import check_layers, load_checked, remark_lines
from edged.device.doctor import run_checks

CONFIGS = Path(__file__).parents[2] / "configs"
FLOOR = "floor = [[20, 470], [400, 470], [330, 230], [90, 230]]\n"
STRIP = "floor = [[20, 20], [24, 20], [24, 400], [500, 400], [500, 404], [20, 404]]\n"
CAMERA = '[cameras.a]\nsource = "0"\n'
NESTED = "zones.feeder = [[90, 300], [99, 300], [99, 330]]\nzones.water = [[90, 300], [99, 300], [98, 310]]"
STALL = f"[cameras.a.stall]\nenabled = true\n{FLOOR}"
DOWN = "person_down.enabled = true\n[cameras.a.stall]\nfloor_m = [4, 3.5]\n" + FLOOR
RTSP = '[cameras.a]\nsource = "rtsp://10.0.0.1/a"\n'


def test_file_that_may_not_be_looked_at_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    text = 'mqtt.tls = { enabled = true, ca = "/x/ca.pem" }'
    assert "there is no such file" in remarks(tmp_path, text)[0]
    monkeypatch.setattr("edged.config_remarks.os", SimpleNamespace(stat=refuse))
    assert 'ca = "/x/ca.pem": its folder may not be read by this user; use sudo' in remarks(tmp_path, text)[0]


def remarks(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "F"
    file.write_text(text)
    checked = check_layers(read_layers(file))
    assert checked.problems == []
    return [line.replace(str(file), "F") for line in remark_lines(checked.remarks)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (CAMERA + 'classes = ["person"]\n' + STALL, 'F:3 cameras.a.classes = ["person"]: no horse is looked for, so'),
        (CAMERA + 'classes = ["person"]\naisle.enabled = true', 'F:3 cameras.a.classes = ["person"]: no horse is'),
        (CAMERA + 'classes = ["horse"]\n' + STALL, 'F:3 cameras.a.classes = ["horse"]: no person is looked for, so'),
        (CAMERA + STALL + '[models]\npose = { person = "rtmpose-t-coco17" }', "F:4 cameras.a.stall.enabled = true: "),
        (
            CAMERA + STALL + '[models]\npose = { horse = "rtmpose-t-coco17" }',
            "F:4 cameras.a.stall.enabled = true: postures and gaits need the keypoints ap10k-17, and models.pose.horse "
            "has coco-17; choose another",
        ),
        (
            CAMERA + "size = [640, 480]\nrotate = 90\nintrinsics = { fx = 500, fy = 500, cx = 320, cy = 240 }",
            "F:5 cameras.a.intrinsics: its centre at 320, 240 is far from the middle of the upright image, 240, 320",
        ),
        (
            CAMERA + "size = [640, 480]\n" + STALL + "floor_m = [26, 23]",
            "F:7 cameras.a.stall.floor_m = [26.0, 23.0]: the camera would hang ",
        ),
        (CAMERA + STALL + "zones.feader = [[90, 300], [99, 300], [99, 330]]", "F:6 cameras.a.stall.zones.feader: "),
        (
            CAMERA + STALL + NESTED,
            "F:7 cameras.a.stall.zones.water: lies in feeder, which stands before it, so it is never reached; put it",
        ),
        (
            CAMERA + "size = [64, 48]\nrotate = 90\n"
            "masks = [[[0, 0], [48, 0], [48, 32], [0, 32]], [[0, 32], [48, 32], [48, 64], [0, 64]]]",
            "F:5 cameras.a.masks: nothing of it is seen, as masks and roi leave all of it out; correct one of them",
        ),
        (
            CAMERA + "roi = [20, 230, 60, 300]\n" + STALL,
            "F:6 cameras.a.stall.floor: nothing of it is seen, as masks and",
        ),
        (
            CAMERA + 'roi = [0, 0, 64, 48]\nstatic_region = { label = "horse", box = [64, 0, 99, 40] }',
            "F:4 cameras.a.static_region.box: nothing of it is seen, as masks and roi",
        ),
        (CAMERA + "[cameras.a.stall]\n" + FLOOR, "F:3 cameras.a.stall: nothing reads this table until it is enabled"),
        (CAMERA + "[cameras.a.stall]\nenabled = true", "F:3 cameras.a.stall: without a floor no wall is known"),
        (CAMERA + STALL + "open_sides = [0, 1, 2, 3]", "F:6 cameras.a.stall.open_sides = [0, 1, 2, 3]: no side is"),
        (
            CAMERA + STALL + "foaling_window = { start = 2020-01-01, end = 2020-02-01 }",
            "F:6 cameras.a.stall.foaling_window: ended on 2020-02-01, so foaling-suspected never rings",
        ),
        (CAMERA + "fps = 2\n" + STALL, "F:3 cameras.a.fps = 2.0: pawing and weaving need 7 Hz or more"),
        (CAMERA + "fps = 8\naisle.enabled = true", "F:3 cameras.a.fps = 8.0: a gait needs 10 Hz or more; raise it"),
        (CAMERA + "fps = 8\n" + STALL + "idle_hz = 8", "F:7 cameras.a.stall.idle_hz = 8.0: fps is not higher, so"),
        (
            CAMERA + 'mode = "single"\n' + STALL + 'horses = "mare-and-foal"',
            'F:7 cameras.a.stall.horses = "mare-and-foal": one subject is published at a time, so no foal',
        ),
        (RTSP + 'username = "u"', 'F:3 cameras.a.username = "u": has no password; give it as the credential '),
        (RTSP.replace("10.0", "u@10.0"), 'F:2 cameras.a.source = "rtsp://***@10.0.0.1/…": has no password; give it'),
        (CAMERA + 'password = "p"', "F:3 cameras.a.password: is for rtsp, and v4l2 is the source here; remove it"),
        (CAMERA + "[profiles.night]", "F:3 profiles.night: changes nothing; add [profiles.night.cameras.NAME]"),
        (
            CAMERA + '[mqtt]\ntransport = "websocket"\nport = 1883',
            "F:5 mqtt.port = 1883: is usual for MQTT without WebSocket",
        ),
        (
            CAMERA + '[mqtt]\nusername = "u"\npassword = "the broker\'s password for this box"',
            "F:5 mqtt.password: looks",
        ),
        (RTSP + 'password = "p"', "F:3 cameras.a.password: has no user name; add cameras.a.username"),
        (
            CAMERA + 'classes = ["horse"]\n' + DOWN,
            'F:3 cameras.a.classes = ["horse"]: no person is looked for, so [person_down]',
        ),
        (
            CAMERA + "fps = 1.5\nperson_down.after_s = 5\n" + DOWN,
            "F:3 cameras.a.fps = 1.5: person-down needs 8 frames within",
        ),
        (CAMERA + "person_down.after_s = 9", "F:3 cameras.a.person_down: nothing reads this table until it is enabled"),
        (
            CAMERA + DOWN + '[models]\npose = { horse = "rtmpose-m-ap10k" }',
            "F:3 cameras.a.person_down.enabled = true: needs key",
        ),
        (
            RTSP + "tls_verify = false",
            "F:3 cameras.a.tls_verify: is for rtsps:// alone, and this source is not",
        ),
        (RTSP.replace("rtsp:", "rtsps:") + 'ca = "/no/ca"', 'F:3 cameras.a.ca = "/no/ca": there is no such file on'),
        (
            RTSP.replace("rtsp:", "rtsps:") + 'ca = "-----BEGIN CERTIFICATE-----"',
            "F:3 cameras.a.ca: is the text itself; it is for `edged provision FILE`, and the daemon alone wants",
        ),
        (
            'panel = { enabled = true, cert = "/no/cert", key = "/dev/null" }',
            'F:1 panel.cert = "/no/cert": there is no such file on this machine; correct the path, or put the file',
        ),
        (CAMERA + 'onvif_serial = "S"', "F:3 cameras.a.onvif_serial: is for rtsp, and v4l2 is the source here"),
        (RTSP + "loop = true", "F:3 cameras.a.loop: is for files, and rtsp is the source here; remove it"),
        (
            '[cameras.a]\nsource = "/etc/hosts"\nusername = "u"',
            "F:3 cameras.a.username: is for cameras, and files is the",
        ),
        (
            CAMERA + 'detector_interval = 3\nstatic_region = { label = "horse", box = [0, 0, 9, 9] }',
            "F:3 cameras.a.detector_interval: a static region runs no detector and no tracker; remove it",
        ),
        (CAMERA + 'classes = ["horse"]\nthresholds = { person = 0.5 }', "F:4 cameras.a.thresholds.person = 0.5: this"),
        (
            CAMERA + "thresholds = { horse = 1 }",
            "F:3 cameras.a.thresholds.horse = 1.0: no detection is that sure; lower",
        ),
        ('[cameras.a]\nsource = "x:0"', 'F:2 cameras.a.source = "x:0": there is no such file on this machine'),
        (CAMERA + 'pick = "central"', 'F:3 cameras.a.pick = "central": all subjects are published; add mode ='),
        (
            CAMERA + 'lift = true\nclasses = ["horse"]\n[models]\nlift = "convnextpose-s"',
            'F:3 cameras.a.lift = true: only people get 3D keypoints; add "person" to classes, or remove it',
        ),
        (
            CAMERA + '[fleet]\ngroup = "barns"',
            'F:4 fleet.group = "barns": a version that the fleet wants is taken from',
        ),
        (CAMERA + '[models]\nlift = "convnextpose-s"', 'F:4 models.lift = "convnextpose-s": no camera uses it; add'),
        (CAMERA + '[mqtt]\nusername = "u"', 'F:4 mqtt.username = "u": has no password; give it as the credential '),
        (CAMERA + "[mqtt]\nport = 8883", "F:4 mqtt.port = 8883: is the usual port of TLS, which is off; add mqtt.tls"),
        (
            CAMERA + '[mqtt.tls]\nenabled = false\nca = "/ca.pem"',
            "F:4 mqtt.tls.enabled = false: the certificates are not used, and passwords go in clear text",
        ),
        (CAMERA + '[mqtt.tls]\nenabled = true\nca = "/no/ca.pem"', 'F:5 mqtt.tls.ca = "/no/ca.pem": there is no such'),
        (
            CAMERA + '[mqtt.tls]\nenabled = true\nca = """\n-----BEGIN CERTIFICATE-----\n' + "A" * 5000 + '"""',
            "F:5 mqtt.tls.ca: is the text",
        ),
        (
            CAMERA + '[homeassistant]\ndiscovery_prefix = "ha"',
            "F:3 homeassistant: nothing reads this table until it is enabled",
        ),
        (CAMERA + "[prometheus]\nport = 9000", "F:3 prometheus: nothing reads this table until it is enabled; add"),
        (CAMERA + '[commands]\nallow = ["snapshot"]', 'F:4 commands.allow[0] = "snapshot": no camera gives pictures'),
        (CAMERA + '[commands]\nallow = ["day"]', 'F:4 commands.allow[0] = "day": no camera watches a stall; add'),
        (CAMERA + "images = true", "F:3 cameras.a.images = true: nothing shows its pictures; add"),
    ],
)
def test_key_without_effect_is_named(text: str, want: str, tmp_path: Path) -> None:
    lines = remarks(tmp_path, text)
    assert [line for line in lines if line.startswith(f"remark: {want}")]
    assert len(lines) == 1


@pytest.mark.parametrize(
    "text",
    [
        CAMERA + STALL + "zones.water = [[90, 300], [99, 300], [99, 330]]",
        CAMERA + "[cameras.a.stall]\nenabled = false\n" + FLOOR,
        CAMERA + 'images = true\n[commands]\nallow = ["snapshot"]',
        CAMERA + "size = [64, 48]\nmasks = [[[0, 0], [64, 0], [64, 48], [0, 48], [9, 39], [50, 39], [50, 9], [9, 9]]]",
        CAMERA + "roi = [0, 0, 640, 480]\n" + STALL.replace(FLOOR, STRIP),
        RTSP.replace("10.0", "u:p@10.0"),
        RTSP.replace("10.0", "u:$pA%24%7BX@10.0"),
        CAMERA.replace("a]", "a]\nenabled = false") + "loop = true",
    ],
    ids=[
        "stall",
        "disabled_on_purpose",
        "pictures",
        "frame_of_masks",
        "strip_between_the_points",
        "password_in_address",
        "dollar_in_password",
        "disabled_camera",
    ],
)
def test_configuration_in_which_everything_is_used_gets_no_remark(text: str, tmp_path: Path) -> None:
    assert remarks(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('mqtt = { username = "u", password = "$PASSWORD" }', "mqtt.password: looks like a variable"),
        ('mqtt = { username = "u", password = "!secret mqtt" }', "or set EDGED_MQTT__PASSWORD"),
        ('mqtt = { username = "<user>", password = "p" }', "mqtt.username: looks like a variable"),
        (
            'cameras.a-b.source = "rtsp://u:${CAM_PASS}@10.0.0.1/a"',
            "write the value, or set EDGED_CAMERAS__A_B__SOURCE",
        ),
        ('device.state_dir = "$HOME/edged"', 'device.state_dir = "$HOME/edged": is relative to the folder'),
        ('device.state_dir = "state"', 'device.state_dir = "state": is relative to the folder'),
        ('models.store = "../models"', 'models.store = "../models": is relative to the folder'),
    ],
)
def test_value_that_depends_on_what_nobody_replaces_is_named(text: str, want: str, tmp_path: Path) -> None:
    found = remarks(tmp_path, f"{text}\n{CAMERA}")
    assert [want in line for line in found] == [True], found
    assert not any(secret in line for line in found for secret in ("PASSWORD:", "$PASSWORD", "!secret", "CAM_PASS"))


def test_passwords_that_only_root_may_read_are_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "edged.toml").write_text(RTSP + 'username = "u"\n[mqtt]\nusername = "u"')
    monkeypatch.setattr(os, "access", lambda *_: False)
    lines = remark_lines(check_layers(read_layers(etc=tmp_path)).remarks)
    text = f"its password cannot be read: {tmp_path}/credentials is for root; use sudo"
    assert [text in line for line in lines] == [True, True]
    (result,) = run_checks(tmp_path, [])
    assert result.message.endswith("; passwords not read, they are for root: sudo")
    (tmp_path / "credentials").rmdir()
    assert "has no password" in remark_lines(check_layers(read_layers(etc=tmp_path)).remarks)[0]


def test_remark_is_logged_and_does_not_stop_the_daemon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "F").write_text(CAMERA + "loop = true")
    assert "a" in load_checked(tmp_path / "F").cameras
    assert f"remark: {tmp_path}/F:3 cameras.a.loop: is for files" in caplog.text


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.name)
def test_shipped_example_has_no_problem(file: Path) -> None:
    assert check_layers(read_layers(file, env={})).problems == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('[publish]\nencoding = "cbor"', 'publish.encoding = "cbor": cbor2 is not installed on this machine'),
        ("[panel]\nenabled = true", "panel.enabled = true: uvicorn is not installed on this machine"),
        ('[compute]\ncpu_runtime = "openvino"', 'compute.cpu_runtime = "openvino": openvino is not installed on'),
    ],
)
def test_extra_that_is_not_installed_here_is_named(
    text: str, want: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.config_remarks.find_spec", lambda name: None)
    assert f"remark: F:4 {want}" in remarks(tmp_path, CAMERA + text)[0]
    monkeypatch.setattr("edged.config_remarks.find_spec", lambda name: name)
    assert not remarks(tmp_path, CAMERA + text)
