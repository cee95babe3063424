"""Which actions are due for cameras that stay offline, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config.tables.camera import CameraConfig
from edged.config.tables.device import DeviceConfig
from edged.device.recovery import FIRST_ACTION_S, MAX_WAIT_S, REFILL_S, CameraRecovery, RebootBudget
from edged.units import ns
from tests.support.clock import ManualClock


def camera(source: str) -> CameraConfig:
    return CameraConfig.model_validate({"source": source})


CSI, OTHER_CSI, USB, UNPLUGGED, RTSP = map(camera, ("csi:0", "csi:1", "/dev/video0", "/dev/video9", "rtsp://x/1"))


@pytest.fixture
def recovery(clock: ManualClock) -> CameraRecovery:
    return CameraRecovery({"/dev/video0": "1-2.3"}.get, clock)


@pytest.mark.parametrize(
    ("offline", "online", "actions"),
    [
        pytest.param({"a": CSI}, {}, ["reset-argus"], id="csi"),
        pytest.param({"a": CSI, "b": OTHER_CSI}, {}, ["reset-argus"], id="two of csi, one action"),
        pytest.param({"a": CSI}, {"b": OTHER_CSI}, [], id="argus serves another camera"),
        pytest.param({"a": USB}, {"b": CSI}, ["reset-usb-1-2.3"], id="usb"),
        pytest.param({"a": UNPLUGGED}, {}, [], id="unplugged"),
        pytest.param({"a": RTSP}, {}, [], id="rtsp"),
        pytest.param({}, {"a": CSI, "b": USB}, [], id="all online"),
    ],
)
def test_camera_offline_for_a_minute_has_its_action_due_once(
    recovery: CameraRecovery,
    clock: ManualClock,
    offline: dict[str, CameraConfig],
    online: dict[str, CameraConfig],
    actions: list[str],
) -> None:
    assert recovery.due_actions(offline, online) == []
    clock.now_ns += ns(FIRST_ACTION_S) - 1
    assert recovery.due_actions(offline, online) == []
    clock.now_ns += 1
    assert recovery.due_actions(offline, online) == actions
    assert recovery.due_actions(offline, online) == []


def test_waits_double_up_to_an_hour(recovery: CameraRecovery, clock: ManualClock) -> None:
    due_s = []
    for second in range(0, 20_000, 10):
        clock.now_ns = ns(second)
        if recovery.due_actions({"a": CSI}, {}):
            due_s.append(second)
    assert due_s[:4] == [60, 180, 420, 900]
    assert due_s[-1] - due_s[-2] == MAX_WAIT_S


def test_camera_that_was_online_between_waits_its_full_time(recovery: CameraRecovery, clock: ManualClock) -> None:
    recovery.due_actions({"a": CSI}, {})
    clock.now_ns += ns(FIRST_ACTION_S)
    recovery.due_actions({}, {"a": CSI})
    assert recovery.due_actions({"a": CSI}, {}) == []


def actions_in(
    recovery: CameraRecovery,
    clock: ManualClock,
    offline: dict[str, CameraConfig],
    online: dict[str, CameraConfig],
    hours: float,
) -> list[str]:
    """Every action that is due, polled once a minute."""
    actions = []
    for _ in range(round(hours * 60)):
        clock.now_ns += ns(60)
        actions += recovery.due_actions(offline, online)
    return actions


def test_reboot_is_due_after_failed_resets_within_the_budget(clock: ManualClock, tmp_path: Path) -> None:
    device = DeviceConfig(state_dir=tmp_path, max_reboots=2)
    recovery = CameraRecovery(lambda source: None, clock, RebootBudget.from_config(device))
    actions = actions_in(recovery, clock, {"a": CSI, "b": OTHER_CSI}, {}, 12)
    assert actions[:4] == ["reset-argus"] * 3 + ["reset-box"]
    assert actions.count("reset-box") == 2
    assert recovery.last_actions["a"].endswith("; 2 of 2 reboots spent")
    after_the_reboot = CameraRecovery(lambda source: None, clock, RebootBudget.from_config(device))
    assert "reset-box" not in actions_in(after_the_reboot, clock, {"a": CSI}, {}, 12)


def test_day_with_a_camera_online_refills_one_reboot(clock: ManualClock, tmp_path: Path) -> None:
    budget = RebootBudget.from_config(DeviceConfig(state_dir=tmp_path, max_reboots=1))
    assert budget.spend()
    recovery = CameraRecovery(lambda source: None, clock, budget)
    actions_in(recovery, clock, {}, {"a": CSI}, REFILL_S / 3600 + 0.1)
    assert actions_in(recovery, clock, {"a": CSI}, {}, 1).count("reset-box") == 1


@pytest.mark.parametrize(
    ("offline", "online"),
    [
        pytest.param({"a": USB}, {"b": RTSP}, id="while another camera is online"),
        pytest.param({"a": RTSP}, {}, id="for an RTSP camera"),
        pytest.param({"a": UNPLUGGED}, {}, id="for an unplugged camera"),
    ],
)
def test_reboot_is_never_due(
    clock: ManualClock, tmp_path: Path, offline: dict[str, CameraConfig], online: dict[str, CameraConfig]
) -> None:
    recovery = CameraRecovery(
        {"/dev/video0": "1-2.3"}.get, clock, RebootBudget.from_config(DeviceConfig(state_dir=tmp_path))
    )
    assert "reset-box" not in actions_in(recovery, clock, offline, online, 24)


def test_unreadable_budget_is_full(tmp_path: Path) -> None:
    (tmp_path / "recovery.json").write_text('{"spent": ')
    assert RebootBudget.from_config(DeviceConfig(state_dir=tmp_path)).spent == 0
