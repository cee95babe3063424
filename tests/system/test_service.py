"""The units on a real systemd: one throw-away boot of this machine's own files, many questions."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded import video
from tests.system.guest_tmp import REPOSITORY, skip_where_missing

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")


NSPAWN = Path(__file__).parent / "nspawn"
DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.relative_to(DEPLOY) for path in DEPLOY.rglob("*.service"))
LIMIT_S = 200
MAX_EXPOSED = 30  # tenths; what systemd calls OK ends at 49


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was written down in there; its console goes into the failure message."""
    for tool in ("systemd-nspawn", "mosquitto_passwd", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing; run tests/system/setup.sh")
    if os.geteuid() != 0:
        pytest.skip("only root can boot a container")
    skip_where_missing(REPOSITORY)
    out = tmp_path_factory.mktemp("service")
    video(out / "clip.mp4", 20)
    run = [str(NSPAWN / "boot.sh"), str(out), sys.executable, str(NSPAWN / "guest_service.py")]
    console = subprocess.run(run, capture_output=True, text=True, check=False, timeout=LIMIT_S, errors="replace")
    result = out / "found.json"
    written = json.loads(result.read_text()) if result.exists() else {}
    if console.returncode:
        journal = "\n".join(written.get("journal", [])[-40:])
        pytest.fail(f"the scenario was not gone through\n{console.stdout[-3000:]}{console.stderr[-1000:]}\n{journal}")
    answers: dict[str, Any] = written
    return answers


def test_ready_service_has_a_status_of_cameras_and_broker(found: dict[str, Any]) -> None:
    assert found["begun"]["code"] == 0
    assert found["begun"]["status"].startswith("1 of 2 cameras online; yard lost: rtsp://127.0.0.1:9/…: ")
    assert found["begun"]["status"].endswith("; broker connected")


def test_service_runs_as_its_own_user_in_the_groups_of_cameras_and_gpu(found: dict[str, Any]) -> None:
    assert found["begun"]["user"] == "edged"
    assert found["begun"]["groups"] == ["edged", "render", "video"]


def test_password_comes_by_credential_that_only_root_can_read(found: dict[str, Any]) -> None:
    assert found["begun"]["credentials"] == ["0o700", "0o600"]
    assert not found["begun"]["password_in_settings"]


def test_journal_can_be_selected_by_camera(found: dict[str, Any]) -> None:
    assert [line.split(": ")[0] for line in found["begun"]["of_yard"]] == ["camera yard"]


def test_reload_applies_a_valid_configuration_and_fails_for_an_invalid_one(found: dict[str, Any]) -> None:
    assert (found["reloaded"]["good"], found["reloaded"]["bad"]) == (0, 1)
    assert (
        "/etc/edged/conf.d/90-local.toml:1 publish.health_interval_s = -7: must be 1..3600 s; raise it"
        in found["journal"]
    )
    assert found["reloaded"]["same"]


def test_changed_password_is_used_after_a_reload_of_the_same_process(found: dict[str, Any]) -> None:
    assert found["another_password"] == {"code": 0, "same": True}


def test_full_restart_keeps_the_process(found: dict[str, Any]) -> None:
    assert found["replaced"] == {"same": True, "restarts": "0"}


def test_killed_daemon_is_restarted(found: dict[str, Any]) -> None:
    assert found["killed"] == {"restarts": "1"}


def test_hanging_loop_is_ended_by_the_watchdog_with_a_traceback(found: dict[str, Any]) -> None:
    journal = found["journal"]
    assert found["wedged"] == {"restarts": "2"}
    assert "edged.service: Failed with result 'watchdog'." in journal
    assert any("sitecustomize.py" in line and "in hang" in line for line in journal)


def test_watchdog_is_fed_while_all_cameras_are_lost(found: dict[str, Any]) -> None:
    assert found["without_cameras"]["same"]
    assert found["without_cameras"]["status"].startswith("0 of 1 cameras online; yard lost: ")


def test_requested_argus_restart_is_made(found: dict[str, Any]) -> None:
    assert found["argus"] == {"asked_still": False}


def test_requested_reboot_is_made_unless_the_device_has_just_booted(
    found: dict[str, Any],
) -> None:
    assert found["rebooted"]["tried"] is (found["rebooted"]["up_s"] >= 900)


def test_version_that_the_fleet_wants_is_tried_again_however_often_the_unit_fails_or_is_killed(
    found: dict[str, Any],
) -> None:
    asked = dict(found["fleet_unit"])
    told = asked.pop("told")
    assert asked == {"trusted": 0, "stopped": 0, "waits": "active", "rests": "inactive", "asked_still": False}
    assert told["number"] == 1
    assert told["error"].startswith("update.source is not set")


def test_archive_worker_without_its_cluster_waits_is_restarted_and_stops(found: dict[str, Any]) -> None:
    worker = found["archive_unit"]
    assert (worker["code"], worker["result"], worker["state"]) == (0, "success", "inactive")
    assert worker["took_s"] < 10  # not by SIGKILL after 20 s


def test_stop_is_orderly_and_leaves_nothing_in_run(found: dict[str, Any]) -> None:
    stopped = found["stopped"]
    assert (stopped["code"], stopped["result"], stopped["rest"]) == (0, "success", False)
    assert stopped["took_s"] < 5  # 2 s are promised; test machines are busy


def test_daemon_that_cannot_start_is_tried_again_later(found: dict[str, Any]) -> None:
    assert found["given_up"]["code"] == "2"
    assert found["given_up"]["rests"] == "active"
    assert found["given_up"]["tries"] >= 2


@pytest.fixture
def analyze() -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is missing (apt-get install systemd)")
    return tool


@pytest.mark.parametrize("unit", SERVICES, ids=str)
def test_service_exposure_is_below_the_limit(unit: Path, analyze: str) -> None:
    threshold = f"--threshold={MAX_EXPOSED}"
    command = [analyze, "security", "--offline=true", threshold, "--no-pager", str(DEPLOY / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.path")), ids=lambda path: path.stem)
def test_unit_that_a_path_starts_is_tried_again_without_a_limit_while_its_request_is_there(path: Path) -> None:
    (asked,) = re.findall(r"(?m)^(PathExists.*)$", path.read_text())
    lines = path.with_suffix(".service").read_text().splitlines()
    wanted = {"StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=60", f"Condition{asked}"}
    assert wanted <= set(lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="capabilities are root's: run as root")
@pytest.mark.parametrize("unit", ["edged-fleet.service", "edged-update.service"])
def test_unit_that_updates_can_read_settings_that_the_daemon_writes(unit: str, tmp_path: Path) -> None:
    bounding = re.findall(r"(?m)^CapabilityBoundingSet=(.*)$", (UNITS / unit).read_text())[0]
    capabilities = re.findall(r"CAP_([A-Z_]+)", bounding)
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    os.chown(own, pwd.getpwnam("nobody").pw_uid, -1)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/70-fleet.toml").symlink_to(own / "70-fleet.toml")
    (own / "70-fleet.toml").write_text("publish.max_rate_hz = 2.0\n")
    kept = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    code = f"from pathlib import Path; from edged.config.load import load; print(load(Path({str(tmp_path)!r})).publish)"
    command = ["setpriv", f"--bounding-set={kept}", "--inh-caps=-all", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "max_rate_hz=2.0" in done.stdout, done.stderr


def test_the_nightly_timer_runs_where_clocks_go_forward(analyze: str) -> None:
    line = next(line for line in (DEPLOY / "systemd/edged-update.timer").read_text().splitlines() if "OnCal" in line)
    command = [analyze, "calendar", "--base-time", "2026-03-28 12:00", "--iterations", "2", line.partition("=")[2]]
    zone = {**os.environ, "TZ": "Europe/Berlin"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=zone)
    assert "Sun 2026-03-29" in done.stdout, done.stdout


def test_every_unit_passes_systemd_analyze_verify(analyze: str) -> None:
    units = [str(unit) for unit in DEPLOY.rglob("*") if unit.suffix in (".service", ".timer", ".path")]
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if not line.endswith("No such file or directory")]
    assert complaints == []  # but for what is not installed here
