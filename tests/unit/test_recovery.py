"""What is asked of root about cameras that stay away, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config.tables.camera import CameraConfig
from edged.config.tables.device import DeviceConfig
from edged.device.recovery import FIRST_ACTION_S, MAX_WAIT_S, REFILL_S, CameraRecovery, RebootBudget
from edged.units import ns
from tests.unit.conftest import Hand


def camera(source: str) -> CameraConfig:
    return CameraConfig.model_validate({"source": source})


CSI, OTHER_CSI, USB, UNPLUGGED, RTSP = map(camera, ("csi:0", "csi:1", "/dev/video0", "/dev/video9", "rtsp://x/1"))


@pytest.fixture
def rescue(hand: Hand) -> CameraRecovery:
    return CameraRecovery({"/dev/video0": "1-2.3"}.get, hand)


@pytest.mark.parametrize(
    ("away", "well", "asked"),
    [
        pytest.param({"a": CSI}, {}, ["reset-argus"], id="csi"),
        pytest.param({"a": CSI, "b": OTHER_CSI}, {}, ["reset-argus"], id="once for all of csi"),
        pytest.param({"a": CSI}, {"b": OTHER_CSI}, [], id="argus serves another camera"),
        pytest.param({"a": USB}, {"b": CSI}, ["reset-usb-1-2.3"], id="usb"),
        pytest.param({"a": UNPLUGGED}, {}, [], id="nothing to reset"),
        pytest.param({"a": RTSP}, {}, [], id="nothing of ours"),
        pytest.param({}, {"a": CSI, "b": USB}, [], id="all is well"),
    ],
)
def test_after_a_while_asked_is(
    rescue: CameraRecovery, hand: Hand, away: dict[str, CameraConfig], well: dict[str, CameraConfig], asked: list[str]
) -> None:
    assert rescue.due_actions(away, well) == []
    hand.now_ns += ns(FIRST_ACTION_S) - 1
    assert rescue.due_actions(away, well) == []
    hand.now_ns += 1
    assert rescue.due_actions(away, well) == asked
    assert rescue.due_actions(away, well) == []


def test_the_waits_double_up_to_an_hour(rescue: CameraRecovery, hand: Hand) -> None:
    asked_s = []
    for second in range(0, 20_000, 10):
        hand.now_ns = ns(second)
        if rescue.due_actions({"a": CSI}, {}):
            asked_s.append(second)
    assert asked_s[:4] == [60, 180, 420, 900]
    assert asked_s[-1] - asked_s[-2] == MAX_WAIT_S


def test_a_camera_that_was_back_is_given_its_time_again(rescue: CameraRecovery, hand: Hand) -> None:
    rescue.due_actions({"a": CSI}, {})
    hand.now_ns += ns(FIRST_ACTION_S)
    rescue.due_actions({}, {"a": CSI})
    assert rescue.due_actions({"a": CSI}, {}) == []


def days(
    rescue: CameraRecovery, hand: Hand, away: dict[str, CameraConfig], well: dict[str, CameraConfig], hours: float
) -> list[str]:
    """Everything asked for, looking every minute."""
    asked = []
    for _ in range(round(hours * 60)):
        hand.now_ns += ns(60)
        asked += rescue.due_actions(away, well)
    return asked


def test_the_box_is_rebooted_when_argus_did_not_help_and_only_as_often_as_its_budget_allows(
    hand: Hand, tmp_path: Path
) -> None:
    device = DeviceConfig(state_dir=tmp_path, max_reboots=2)
    rescue = CameraRecovery(lambda source: None, hand, RebootBudget.from_config(device))
    asked = days(rescue, hand, {"a": CSI, "b": OTHER_CSI}, {}, 12)
    assert asked[:4] == ["reset-argus"] * 3 + ["reset-box"]
    assert asked.count("reset-box") == 2
    assert rescue.last_actions["a"].endswith("; 2 of 2 reboots spent")
    after_the_reboot = CameraRecovery(lambda source: None, hand, RebootBudget.from_config(device))
    assert "reset-box" not in days(after_the_reboot, hand, {"a": CSI}, {}, 12)


def test_a_day_with_a_camera_gives_one_reboot_back(hand: Hand, tmp_path: Path) -> None:
    budget = RebootBudget.from_config(DeviceConfig(state_dir=tmp_path, max_reboots=1))
    assert budget.spend()
    rescue = CameraRecovery(lambda source: None, hand, budget)
    days(rescue, hand, {}, {"a": CSI}, REFILL_S / 3600 + 0.1)
    assert days(rescue, hand, {"a": CSI}, {}, 1).count("reset-box") == 1


@pytest.mark.parametrize(
    ("away", "well"),
    [
        pytest.param({"a": USB}, {"b": RTSP}, id="while another camera gives frames"),
        pytest.param({"a": RTSP}, {}, id="for a camera that is not the box's"),
        pytest.param({"a": UNPLUGGED}, {}, id="for a camera that is not there"),
    ],
)
def test_the_box_is_never_rebooted(
    hand: Hand, tmp_path: Path, away: dict[str, CameraConfig], well: dict[str, CameraConfig]
) -> None:
    rescue = CameraRecovery(
        {"/dev/video0": "1-2.3"}.get, hand, RebootBudget.from_config(DeviceConfig(state_dir=tmp_path))
    )
    assert "reset-box" not in days(rescue, hand, away, well, 24)


def test_a_torn_budget_is_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "rescue.json").write_text('{"spent": ')
    assert RebootBudget.from_config(DeviceConfig(state_dir=tmp_path)).spent == 0
