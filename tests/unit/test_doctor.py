"""The doctor's results for versions, clocks, space and rights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edged.config.tree import Config
from edged.device.doctor import (
    Target,
    clock_result,
    config_cure,
    missing_credentials,
    models,
    run_checks,
    space_result,
    writable,
)
from edged.device.doctor_software import kernels, l4t, opencv, tensorrt
from edged.device.identity import device_id
from engines.errors import CardError, EngineError, Missing, StoreError

IN_2026 = 1_780_000_000


@pytest.mark.parametrize(
    ("version", "ok"), [("8.6.2", False), ("10.0.1", False), ("10.3.0", True), ("11.1.0.post1", True)]
)
def test_tensorrt_before_10_3_fails(version: str, ok: bool) -> None:
    result = tensorrt(version)
    assert result.ok is ok
    assert ("JetPack 6.1" in result.do) is not ok


@pytest.mark.parametrize(("version", "ok"), [("4.8.0", True), ("4.10.0", False), ("4.11.0", False), ("4.12.0", True)])
def test_opencv_with_a_known_fault_fails(version: str, ok: bool) -> None:
    result = opencv(version)
    assert result.ok is ok
    assert ("CVE" in result.message) is not ok


@pytest.mark.parametrize(
    ("written", "ok"),
    [
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref", False),
        ("# R36 (release), REVISION: 3.0, GCID: 36923193", False),
        ("# R36 (release), REVISION: 4.3, GCID: 38968081", True),
        ("# R38 (release), REVISION: 2.0", True),
        ("something else", False),
    ],
    ids=["JetPack 5", "JetPack 6.0", "JetPack 6.2", "JetPack 7", "unreadable"],
)
def test_jetpack_before_6_1_fails(written: str, ok: bool) -> None:
    assert l4t(written).ok is ok


@pytest.mark.parametrize(("now_s", "synced", "ok"), [(IN_2026, True, True), (IN_2026, False, False), (0, True, False)])
def test_clock_that_is_unset_or_unsynchronised_fails(now_s: int, synced: bool, ok: bool) -> None:
    assert clock_result(now_s, synced).ok is ok


def test_credential_that_is_gone_is_named_with_the_settings_that_want_it(tmp_path: Path) -> None:
    there, gone = tmp_path / "mqtt.username", tmp_path / "mqtt.password"
    there.write_text("u")
    settings = tmp_path / "50-credentials.conf"
    settings.write_text(f"[Service]\nLoadCredential=mqtt.username:{there}\nLoadCredential=mqtt.password:{gone}\n")
    (result,) = missing_credentials(tmp_path)
    assert result.ok is False
    assert f"{gone}: no such file, but {settings} wants it" in result.message
    gone.write_text("p")
    assert list(missing_credentials(tmp_path)) == []
    assert list(missing_credentials(tmp_path / "none")) == []


def test_unsynchronised_clock_is_no_failure_where_edged_is_not_installed() -> None:
    result = clock_result(IN_2026, synced=False, installed=False)
    assert result.ok is None
    assert "not synchronised" in result.message


@pytest.mark.parametrize(
    ("error", "do"),
    [
        (Missing("m is not in the store"), "edged models pull det-person-horse"),
        (CardError("bad card"), "models.catalogue"),
        (StoreError("read-only"), "models.store"),
    ],
)
def test_cure_of_a_model_depends_on_the_cause(
    error: EngineError, do: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edged.toml"
    file.write_text('[models]\ndetector = "det-person-horse"\n')

    def verify(*_: object) -> None:
        raise error

    monkeypatch.setattr("edged.device.doctor_models.ModelStore.verify", verify)
    first, *_ = [one for one in run_checks(file, (models,)) if one.check.startswith("model ")]
    assert do in first.do
    assert first.ok is False


def test_starter_weights_are_called_so() -> None:
    result = next(models(Target(path=None, config=Config())))
    assert "starter weights, for trials" in result.message


def test_remarks_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text('[cameras.a]\nsource = "0"\nloop = true\n')
    (result,) = run_checks(file, ())
    assert result.ok
    assert "1 camera, " in result.message
    assert result.message.endswith("; 1 remark: edged check")


@pytest.mark.parametrize(("free_mb", "ok"), [(499, False), (500, True), (None, None)])
def test_free_space_is_compared_with_its_minimum(free_mb: int | None, ok: bool | None) -> None:
    assert space_result("disk", free_mb, 500, "free space").ok is ok


def test_folder_yet_to_be_made_is_judged_by_its_parent(tmp_path: Path) -> None:
    assert writable("store", tmp_path / "a" / "b", "me").ok


def test_file_in_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    result = writable("device.state_dir", tmp_path / "state", "me")
    assert (result.message, result.do.split(",")[0]) == (f"{tmp_path}/state is no folder", "remove it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder_names_the_fix(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "sudo install -d -o me" in writable("store", tmp_path / "models", "me").do


def test_folder_that_may_not_be_looked_at_fails_its_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat, access = os.stat, os.access

    def refuse(path: Any, *args: Any, **more: Any) -> os.stat_result:
        if str(path).startswith(f"{tmp_path}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **more)

    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))
    assert f"me cannot write to {tmp_path}" in writable("store", tmp_path / "a" / "b", "me").message
    assert config_cure(None, tmp_path) == f"use sudo: {tmp_path} may not be read by this user"


def test_file_in_place_of_a_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert writable("device.state_dir", tmp_path / "state", "me").ok is False


def test_invalid_configuration_fails_and_the_other_checks_run(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text("[mqtt]\nprot = 1883\n")
    results = {result.check: result for result in run_checks(file)}
    assert results["configuration"].ok is False
    assert "edged check" in results["configuration"].do
    assert results["broker"].ok is None
    assert results["disk"].ok is not None


def test_contradicting_configuration_fails(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text('[cameras.a]\nsource = "0"\nsize = [640, 480]\nroi = [0, 0, 641, 480]\n')
    (result,) = run_checks(file, ())
    assert result.ok is False
    assert "cameras.a.roi" in result.message


def test_device_id_auto_is_derived_from_the_machine_id_and_does_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef\n")
    sources = (tmp_path / "absent", tmp_path / "machine-id")
    assert device_id("auto", sources) == "edged-8be971bf"
    assert device_id("barn-1", sources) == "barn-1"


def test_device_id_without_a_machine_id_is_of_the_mac_address(tmp_path: Path) -> None:
    assert len(device_id("auto", (tmp_path / "absent",))) == len("edged-01234567")


def test_package_without_kernels_fails() -> None:
    assert kernels(b"k" * 5000).ok
    missing = kernels(None)
    assert (missing.ok, "make kernels" in missing.do) == (False, True)


def test_fresh_box_is_told_how_to_get_settings_and_one_with_errors_what_lists_them(tmp_path: Path) -> None:
    assert "edged-provision.toml" in config_cure(None, tmp_path)
    assert config_cure(tmp_path / "x.toml", tmp_path) == f"edged check {tmp_path}/x.toml"
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "50-box.toml").touch()
    assert config_cure(None, tmp_path) == "edged check"


def test_configuration_without_a_camera_fails(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text('[device]\nid = "box"\n')
    (result,) = run_checks(file, ())
    assert result.ok is False
    assert "no camera is configured" in result.message
