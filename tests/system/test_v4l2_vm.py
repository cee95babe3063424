"""The V4L2 camera on a real kernel device: one run of an emulated machine with virtual cameras, many tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.guest_tmp import REPOSITORY

VM = Path(__file__).parent / "vm"
LIMIT_S = 150


@pytest.fixture(scope="module")
def kernel() -> str:
    for tool in ("qemu-system-x86_64", "busybox", "cpio", "depmod", "udevadm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing; run tests/system/setup.sh")
    got = subprocess.run([VM / "kernel.sh"], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if got.returncode:
        pytest.skip(f"no kernel for the test machine: {got.stderr[-300:]}")
    return got.stdout.strip()


@pytest.fixture(scope="module")
def found(kernel: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the machine; its console goes into the failure message."""
    out = tmp_path_factory.mktemp("vm")
    module = [sys.executable, "-m", "tests.system.vm.guest_camera", "/mnt/out/found.json"]
    guest = ["/usr/bin/env", f"PYTHONPATH={REPOSITORY}", *module]
    run = [str(VM / "boot.sh"), kernel, str(out), *guest]
    console = subprocess.run(run, capture_output=True, text=True, check=False, timeout=LIMIT_S, errors="replace")
    result = out / "found.json"
    if not result.exists():
        output = (out / "output").read_text() if (out / "output").exists() else ""
        pytest.fail(f"the test machine gave no result\n{console.stdout[-2000:]}{console.stderr[-1000:]}\n{output}")
    answers: dict[str, Any] = json.loads(result.read_text())
    return answers


def test_driver_time_stamps_are_of_our_clock(found: dict[str, Any]) -> None:
    stamps = found["stamps"]
    assert all(abs(d - c) < 1000 for d, c in zip(stamps["driver_ms"], stamps["clock_ms"], strict=True))
    assert stamps["driver_ms"] == sorted(stamps["driver_ms"])


def test_frames_have_the_configured_rate_and_their_capture_time(found: dict[str, Any]) -> None:
    assert found["hz"] == pytest.approx(10, rel=0.1)
    assert all(0 <= age_ms < 2000 for age_ms in found["ages_ms"])


def test_every_format_is_converted_to_bgr(found: dict[str, Any]) -> None:
    assert set(found["formats"]) == {"yuyv", "nv12", "gray"}
    assert all(shape == [180, 320, 3] for shape in found["formats"].values())


def test_raw_frames_equal_opencvs(found: dict[str, Any]) -> None:
    raw = found["raw"]
    assert {(name.split()[0], name.split()[1]) for name in raw} == {
        (form, memory) for form in ("yuyv", "nv12", "gray") for memory in ("USERPTR", "MMAP")
    }
    for name, result in raw.items():
        assert result["swapped"] == name.endswith("USERPTR")
        assert result["on_pages"]
        assert result["rising"]
        assert result["difference"] <= 2, name


def test_driver_writes_into_few_buffers_while_cameras_come_and_go(found: dict[str, Any]) -> None:
    result, log = found["in_place"], found["in_place_log"]
    assert result["shapes"] == [["yuyv", [320, 180]]]
    assert result["buffers"]["userptr"] <= 8
    assert result["buffers"]["mmap"] <= 3
    assert result["different"] > 25
    assert sorted(result["lost"]) == ["/dev/video0: unplugged", "/dev/video1: unplugged"]
    assert result["balanced"]
    for name, memory in (("userptr", "USERPTR"), ("mmap", "MMAP")):
        assert sum(name in line and line.endswith(f"by {memory}") for line in log) == 1


def test_leased_frame_is_unchanged_while_its_camera_is_unplugged(found: dict[str, Any]) -> None:
    assert found["in_place"]["leased"] == 2
    assert found["in_place"]["unchanged"]


def test_closed_camera_leaves_nothing_open_or_mapped(found: dict[str, Any]) -> None:
    assert found["left"] == []


def test_driver_that_refuses_our_memory_is_not_lost(
    found: dict[str, Any],
) -> None:
    assert found["refused"] == {"read_only": "Bad address", "mmap_only": "Invalid argument"}


def test_granted_format_and_stable_path_are_logged_once(found: dict[str, Any]) -> None:
    renamed, granted = found["odd_log"]
    assert renamed.endswith(f"/dev/video0 may be another camera after the next boot; use {found['link']}")
    assert found["link"].startswith("/dev/v4l/by-path/platform-vivid")
    assert granted.startswith("WARNING camera odd: /dev/video0 grants")
    assert granted.endswith("not 333x333")


def test_udev_names_a_camera_by_its_socket(found: dict[str, Any]) -> None:
    assert found["names"] == {"at-platform-vivid_0": "/dev/video0"}


def test_unplugged_camera_is_lost_and_returns(found: dict[str, Any]) -> None:
    phases = [phase for phase, _ in found["states"]]
    reasons = [reason for phase, reason in found["states"] if phase == "lost"]
    assert [phases[0], phases[1], phases[-1]] == ["connecting", "online", "online"]
    assert "unplugged" in reasons[0]
    assert "no such device; is it plugged in?" in reasons[-1]
    assert found["returned"]
    assert found["balanced"]


@pytest.mark.parametrize("mode", ["MMAP", "USERPTR"])
def test_hardware_report_finds_both_memories_of_the_driver(found: dict[str, Any], mode: str) -> None:
    row = found["modes"][mode]
    assert row["state"] == "measured", row
    assert row["figures"]["frames_per_s"] > 0
    assert row["figures"]["empty"] == 0
    assert (row["figures"]["in_our_memory"] > 0) is (mode == "USERPTR")


def test_frozen_or_failing_driver_is_lost_with_its_reason_and_returns(found: dict[str, Any]) -> None:
    assert "no frame for 3 s" in found["broken"]["frozen"]
    assert found["broken"]["error"]


def test_each_state_change_is_logged_once(found: dict[str, Any]) -> None:
    log = found["log"]
    assert sum(line.startswith("WARNING") for line in log) == 1
    assert sum("online again after" in line for line in log) == 1
    assert sum("grants YUYV 640x360 at 10 Hz" in line for line in log) == 1


def test_busy_device_names_the_process_that_holds_it(found: dict[str, Any]) -> None:
    assert "busy: held by python" in found["busy"]


def test_forbidden_device_names_the_group_to_join(found: dict[str, Any]) -> None:
    assert "permission denied; add the daemon's user to the group `video`" in found["forbidden"]
