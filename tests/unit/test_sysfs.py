"""Recorded sysfs trees of boards, and what is read from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.device.sysfs import SysfsSensors

ORIN_NANO = {  # JetPack 6
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
    "proc/meminfo": "MemTotal: 7802936 kB\nNvMapMemFree: 0 kB\nNvMapMemUsed: 412032 kB\n",
    "proc/pressure/cpu": "some avg10=12.50 avg60=3.00 avg300=1.00 total=1\n",
    "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00\n",
    "var/lib/nvpmodel/status": "pmode:0002 fmode:fanNull",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "51250",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal",
    "sys/class/thermal/thermal_zone1/temp": "-256000",
    "sys/class/thermal/thermal_zone2/type": "tj-thermal",
    "sys/class/thermal/thermal_zone2/temp": "52406",
    "sys/class/thermal/cooling_device0/type": "pwm-fan",
    "sys/class/thermal/cooling_device0/cur_state": "2",
    "sys/class/thermal/cooling_device1/type": "cpu-throttle-alert",
    "sys/class/thermal/cooling_device1/cur_state": "1",
    "sys/class/thermal/cooling_device2/type": "gpu-throttle-alert",
    "sys/class/thermal/cooling_device2/cur_state": "0",
    "sys/class/hwmon/hwmon0/name": "ina3221",
    "sys/class/hwmon/hwmon0/in1_label": "VDD_IN",
    "sys/class/hwmon/hwmon0/in1_input": "5000",
    "sys/class/hwmon/hwmon0/curr1_input": "1200",
    "sys/class/hwmon/hwmon0/in2_label": "NC",
    "sys/class/hwmon/hwmon0/in2_input": "5000",
    "sys/class/hwmon/hwmon0/curr2_input": "1",
    "sys/class/hwmon/hwmon0/in7_label": "sum of shunt voltages",
    "sys/class/hwmon/hwmon1/name": "soctherm_oc",
    "sys/class/hwmon/hwmon1/oc1_event_cnt": "7",
    "sys/class/hwmon/hwmon1/oc3_event_cnt": "1",
    "sys/class/hwmon/hwmon2/name": "pwmfan",
    "sys/class/hwmon/hwmon2/pwm1": "51",
    "sys/class/devfreq/17000000.gpu/device/of_node/name": "gpu\0",
    "sys/class/devfreq/17000000.gpu/device/load": "375",
    "sys/class/devfreq/17000000.gpu/cur_freq": "624750000",
    "sys/devices/platform/bus@0/c360000.pmc/reset_reason": "WATCHDOG",
}
THOR = {
    "sys/class/devfreq/gpu-gpc-0/cur_freq": "1575000000",
    "etc/nv_tegra_release": "# R38 (release), REVISION: 4.0",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def orin(tmp_path: Path) -> SysfsSensors:
    board = SysfsSensors(tree(tmp_path, ORIN_NANO))
    board.rescan()
    return board


def test_switched_off_zone_has_no_temperature(orin: SysfsSensors) -> None:
    assert orin.temperatures_c() == {"cpu-thermal": 51.2, "tj-thermal": 52.4}


def test_running_fan_is_not_throttling(orin: SysfsSensors) -> None:
    throttling = orin.throttling()
    assert throttling is not None
    assert throttling["active"] == ["cpu-throttle-alert"]


def test_over_current_events_are_since_the_last_read_and_their_total_is_the_kernels(
    orin: SysfsSensors, tmp_path: Path
) -> None:
    first = orin.throttling()
    tree(tmp_path, {"sys/class/hwmon/hwmon1/oc1_event_cnt": "9"})
    second = orin.throttling()
    assert first is not None
    assert second is not None
    assert [one["over_current_events"] for one in (first, second)] == [0, 2]
    assert [one["over_current_total"] for one in (first, second)] == [8, 10]


def test_power_is_voltage_times_current_of_connected_rails(orin: SysfsSensors) -> None:
    assert orin.power_w() == {"VDD_IN": 6.0}


def test_gpu_is_found_by_its_device_tree_name(orin: SysfsSensors) -> None:
    assert orin.gpu() == {"load_percent": 37.5, "mhz": 625}


def test_other_figures_of_a_jetson_are_read(orin: SysfsSensors) -> None:
    assert (orin.fan_percent(), orin.power_mode(), orin.gpu_memory_mb()) == (20.0, "2", 412)
    assert orin.boot_reason() == "WATCHDOG"
    assert orin.pressure_percent() == {"cpu": 12.5, "memory": 0.0}


def test_thor_has_a_clock_and_no_load(tmp_path: Path) -> None:
    board = SysfsSensors(tree(tmp_path, THOR))
    board.rescan()
    assert board.gpu() == {"load_percent": None, "mhz": 1575}


def test_late_gpu_is_found_by_the_next_rescan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = SysfsSensors(tmp_path)
    board.rescan()
    assert board.gpu() is None
    tree(tmp_path, ORIN_NANO)
    board.rescan()
    assert board.gpu() is None
    monkeypatch.setattr("edged.device.sysfs.RESCAN_NS", 0)
    board.rescan()
    assert board.gpu() is not None


def test_missing_figure_is_none_not_zero(tmp_path: Path) -> None:
    board = SysfsSensors(tmp_path)
    board.rescan()
    assert (board.gpu(), board.throttling(), board.fan_percent(), board.power_mode()) == (None, None, None, None)
    assert (board.gpu_memory_mb(), board.boot_reason(), board.pressure_percent()) == (None,) * 3
    assert (board.temperatures_c(), board.power_w()) == ({}, {})


def test_unreadable_file_is_skipped(orin: SysfsSensors, tmp_path: Path) -> None:
    tree(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "warm", "sys/class/hwmon/hwmon0/curr1_input": ""})
    (tmp_path / "sys/class/thermal/thermal_zone2/temp").unlink()
    assert (orin.temperatures_c(), orin.power_w()) == ({}, {})
