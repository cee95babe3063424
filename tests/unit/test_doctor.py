"""What the doctor makes of versions, clocks, space and rights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.device.doctor import clock_result, kernels, l4t, run_checks, space_result, tensorrt, writable
from edged.device.identity import device_id

IN_2026 = 1_780_000_000


@pytest.mark.parametrize(
    ("version", "ok"), [("8.6.2", False), ("10.0.1", False), ("10.3.0", True), ("11.1.0.post1", True)]
)
def test_tensorrt_8_is_not_supported(version: str, ok: bool) -> None:
    finding = tensorrt(version)
    assert finding.ok is ok
    assert ("JetPack 6.1" in finding.do) is not ok


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
def test_jetpack_before_6_1_is_not_supported(written: str, ok: bool) -> None:
    assert l4t(written).ok is ok


@pytest.mark.parametrize(("now_s", "synced", "ok"), [(IN_2026, True, True), (IN_2026, False, False), (0, True, False)])
def test_a_clock_must_be_set_and_kept(now_s: int, synced: bool, ok: bool) -> None:
    assert clock_result(now_s, synced).ok is ok


@pytest.mark.parametrize(("free_mb", "ok"), [(499, False), (500, True), (None, None)])
def test_room_is_enough_or_not_or_unknown(free_mb: int | None, ok: bool | None) -> None:
    assert space_result("disk", free_mb, 500, "free space").ok is ok


def test_a_store_that_is_not_there_yet_is_judged_by_what_it_will_be_in(tmp_path: Path) -> None:
    assert writable("store", tmp_path / "a" / "b", "me").ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_names_the_fix(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "sudo install -d -o me" in writable("store", tmp_path / "models", "me").do


def test_a_file_where_a_folder_is_wanted_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert (
        writable("device.state_dir", tmp_path / "state", "me").message
        == f"me can put nothing into {tmp_path / 'state'}"
    )


def test_a_broken_configuration_does_not_end_the_examination(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text("[mqtt]\nprot = 1883\n")
    findings = {finding.check: finding for finding in run_checks(file)}
    assert findings["configuration"].ok is False
    assert "edged check" in findings["configuration"].do
    assert findings["broker"].ok is None
    assert findings["disk"].ok is not None


def test_a_configuration_that_the_daemon_would_refuse_is_not_well(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text('[cameras.a]\nsource = "0"\nsize = [640, 480]\nroi = [0, 0, 641, 480]\n')
    (finding,) = run_checks(file, ())
    assert (finding.ok, "must lie inside the upright image" in finding.message) == (False, True)


def test_a_device_without_name_is_named_after_the_machine(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef\n")
    sources = (tmp_path / "absent", tmp_path / "machine-id")
    assert device_id("auto", sources) == "edged-01234567"
    assert device_id("barn-1", sources) == "barn-1"


def test_a_machine_without_id_still_has_a_name(tmp_path: Path) -> None:
    assert len(device_id("auto", (tmp_path / "absent",))) == len("edged-01234567")


def test_a_package_without_kernels_is_told_what_that_costs_and_where_they_are_made() -> None:
    assert kernels(b"k" * 5000).message == "5 kB"
    lacking = kernels(None)
    assert (lacking.ok, "over the host" in lacking.message, "make kernels" in (lacking.do or "")) == (False, True, True)
