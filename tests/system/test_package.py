"""The package on a real systemd: one throw-away boot of this machine's own files, from installation to purge."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from tests.support.recorded import video
from tests.support.signing import new_key
from tests.system.guest_tmp import skip_where_missing
from tests.system.wheels import DEPLOY, REPOSITORY, fetched, run, wheelhouse

BOOT = Path(__file__).parent / "nspawn" / "boot.sh"
PYTHON = "/usr/bin/python3"  # the system's own is what the installer takes
VERSIONS = ("0.2.0", "0.2.1", "0.2.2", "0.2.3")
KIB = 1024
STICK_MB = 600  # with a release; a sparse file
LIMIT_S = 1300  # on a busy machine


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was written down in there; its console goes into the failure message."""
    for tool in ("systemd-nspawn", "mosquitto_passwd", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing; run tests/system/setup.sh")
    if os.geteuid() != 0:
        pytest.skip("only root can boot a container")
    skip_where_missing(REPOSITORY)
    out, made = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("made")
    version = run(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    others = fetched(platform.machine(), version)
    for name, version in zip(("first", "second", "third", "fourth"), VERSIONS, strict=True):
        house = wheelhouse(made, others, version, broken=name == "third")
        Path(run(DEPLOY / "deb.sh", house, made).strip()).rename(out / f"{name}.deb")
    key = new_key(out)
    made_release(out / "release", out / "fourth.deb", "0.2.3", key)
    made_release(out / "broken", out / "third.deb", "0.2.2", key)
    made_release(out / "unsigned", out / "fourth.deb", "0.2.3", None)
    video(out / "clip.mp4", 20)
    with loop_device(out / "stick.img") as device:
        return boot(out, device)


def made_release(folder: Path, package: Path, version: str, key: Path | None) -> None:
    """What release.sh leaves, signed as an integrator does it."""
    folder.mkdir()
    architecture = run("dpkg", "--print-architecture").strip()
    os.link(package, folder / f"edged_{version}_{architecture}.deb")
    (folder / "SHA256SUMS").write_text(run("sh", "-c", f"cd {folder} && sha256sum edged_*"))
    if key is not None:
        run(DEPLOY / "sign", "release", key, folder)


@contextmanager
def loop_device(image: Path) -> Iterator[str]:
    """A block device that is a file; empty where there is none to be had."""
    image.write_bytes(b"")
    os.truncate(image, STICK_MB * KIB * KIB)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    device = made.stdout.strip()
    try:
        yield device
    finally:
        if device:
            subprocess.run(["losetup", "--detach", device], check=False)


def boot(out: Path, device: str) -> dict[str, Any]:
    """What was written down in there."""
    environment = [f"PYTHONPATH={REPOSITORY}", f"STICK_DEVICE={device}"]
    guest = ["/usr/bin/env", *environment, sys.executable, "-m", "tests.system.nspawn.guest_package"]
    console = subprocess.run(
        [str(BOOT), str(out), *guest],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S + 30,
        errors="replace",
        env={**os.environ, "LIMIT_S": str(LIMIT_S), "NSPAWN_MORE": f"--bind={device}" if device else ""},
    )
    result = out / "found.json"
    written: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
    if console.returncode:
        journal = "\n".join(written.get("journal", [])[-40:])
        pytest.fail(f"the scenario was not gone through\n{console.stdout[-3000:]}{console.stderr[-1000:]}\n{journal}")
    return written


def test_a_fresh_box_has_a_service_that_waits_for_settings_and_is_no_failure(found: dict[str, Any]) -> None:
    fresh = found["installed"]
    assert (fresh["code"], fresh["version"], fresh["enabled"]) == (0, "edged 0.2.0", ["enabled", "enabled"])
    assert (fresh["started"], fresh["active"], fresh["result"]) == (0, "inactive", "no")
    assert "/etc/udev/rules.d/70-edged.rules" in fresh["files"]


def test_every_step_is_said_and_the_whole_is_looked_at(found: dict[str, Any]) -> None:
    said = found["installed"]["said"]
    assert [line[:2] for line in said if line[1:3] == ". "] == ["1.", "2.", "3.", "4.", "5."]
    assert any(line.startswith("✓ OpenCV: ") for line in said)


def test_a_file_from_a_stick_makes_the_box_and_the_report_says_how_it_stands(found: dict[str, Any]) -> None:
    (code, said), (again, repeated), _, _ = found["provisioned"]["said"]
    assert (code, again) == (0, 0)
    assert said.startswith("box: broker 127.0.0.1:18830; cameras: barn, yard\napplied; the daemon runs with it\n1 of 2")
    assert repeated.startswith("this file was applied before; nothing is done.")


def test_a_mistake_on_the_stick_is_told_by_its_line_and_what_the_daemon_refuses_is_taken_back(
    found: dict[str, Any],
) -> None:
    _, _, (wrong, mistake), (refused, told) = found["provisioned"]["said"]
    assert (wrong, refused) == (2, 1)
    assert mistake.startswith("/opt/stick/edged-provision.toml:5 mqtt.ports: ")
    assert told.splitlines()[2].startswith("compute.backend = 'cuda': no GPU"), told
    assert told.endswith("the previous settings are restored\n")
    assert found["provisioned"]["back"]
    assert found["provisioned"]["active"] == "active"


def test_a_new_box_takes_a_signed_stick_and_its_key_and_then_no_unsigned_one(found: dict[str, Any]) -> None:
    sticks = found["sticks"]
    if "skipped" in sticks:
        pytest.skip(sticks["skipped"])
    assert sticks["first"]["code"] == 0, sticks["first"]
    first = sticks["first"]["report"]
    assert first[0] == "box: broker 127.0.0.1:18830; cameras: barn, yard"
    assert "from now on this device takes only sticks and releases signed by SHA256:" in first[1]
    assert first[2] == "applied; the daemon runs with it"
    assert (sticks["unsigned"]["code"], sticks["same"]) == (1, True)
    assert sticks["unsigned"]["report"][0].startswith("edged-provision.toml is not signed")
    assert (sticks["signed"]["code"], sticks["signed"]["report"][1]) == (0, "applied; the daemon runs with it")


def test_an_update_takes_only_a_signed_release(found: dict[str, Any]) -> None:
    done = found["updated"]
    assert done["trusted"][0] == 0
    assert (done["unsigned"][0], "no SHA256SUMS.sig" in done["unsigned"][1]) == (1, True)
    assert (done["timer"], done["kept"]) == ("active", True)


def test_the_timer_updates_from_a_mirror_that_is_trusted_by_a_release_that_starts(found: dict[str, Any]) -> None:
    done = found["updated"]
    stranger, broken, good = done["stranger"], done["broken"], done["good"]
    assert (stranger["code"], stranger["version"]) == (1, "edged 0.2.0")
    assert any("certificate verify failed" in line for line in stranger["said"]), stranger["said"]
    assert (broken["code"], broken["version"], broken["active"]) == (1, "edged 0.2.0", "active"), broken["said"]
    assert done["again"]["code"] == 0
    assert any("0.2.2 did not start here before" in line for line in done["again"]["said"]), done["again"]["said"]
    assert (good["code"], good["version"], good["previous"]) == (0, "edged 0.2.3", "0.2.0"), good["said"]
    assert any("nothing to do" in line for line in done["nothing"]["said"]), done["nothing"]["said"]


def test_a_stick_with_a_signed_release_updates_the_box_and_it_can_be_taken_back(found: dict[str, Any]) -> None:
    done = found["updated"]
    assert done["back_from_mirror"] == 0
    if "skipped" in done["stick"]:
        pytest.skip(done["stick"]["skipped"])
    stick = done["stick"]
    assert (stick["code"], stick["version"], stick["active"]) == (0, "edged 0.2.3", "active"), stick
    assert any(line.endswith(".deb is in use; back: edged-install --rollback") for line in stick["report"]), stick
    assert any(line.startswith("✓ configuration: /etc/edged: 2 cameras") for line in stick["report"]), stick
    assert done["package"] == "0.2.3 installed"
    assert (done["back"]["code"], done["back"]["version"], done["back"]["active"]) == (0, "edged 0.2.0", "active")


def test_an_upgrade_takes_over_and_keeps_settings_secrets_and_engines(found: dict[str, Any]) -> None:
    done = found["upgraded"]
    assert (done["code"], done["version"], done["active"]) == (0, "edged 0.2.1", "active")
    assert (done["kept"], done["another"], done["previous"]) == (True, True, "0.2.0")
    assert any(path.endswith("engine.plan") for path in done["data"])
    assert any("its packages are those of the release in use" in line for line in done["said"])


def test_installing_again_makes_nothing_anew_leaves_the_daemon_alone_and_explaining_does_nothing(
    found: dict[str, Any],
) -> None:
    again = found["again"]
    assert (again["code"], again["another"]) == (0, False)
    assert "1. Release 0.2.1-" in again["said"]
    assert " is there already" in again["said"]
    assert again["explained"].count("\n") == 5


def test_a_rollback_is_the_version_before_and_needs_no_network(found: dict[str, Any]) -> None:
    back = found["rolled_back"]
    assert (back["code"], back["version"], back["active"]) == (0, "edged 0.2.0", "active")
    assert (back["previous"], back["kept"]) == ("0.2.1", True)


def test_a_version_that_does_not_come_up_makes_way_for_the_one_that_did(found: dict[str, Any]) -> None:
    done = found["broken"]
    assert (done["code"], done["version"], done["active"]) == (1, "edged 0.2.0", "active")
    assert any("this version is broken" in line for line in done["said"])
    assert (done["previous"], done["kept"]) == ("0.2.3", True)
    assert "0.2.2" not in done["releases"]
    assert any(line.startswith("install.sh: 0.2.0-") and line.endswith(" is in use as before") for line in done["said"])


def test_removal_leaves_settings_and_engines_and_nothing_else(found: dict[str, Any]) -> None:
    done = found["removed"]
    assert (done["code"], done["active"], done["top"], done["kept"]) == (0, "inactive", False, True)
    assert done["files"] == ["/etc/systemd/system/edged.service.d"]


def test_a_purge_leaves_nothing(found: dict[str, Any]) -> None:
    done = found["purged"]
    assert (done["code"], done["left"], done["files"], done["user"]) == (0, [], [], False)
