"""Temperatures, throttling, GPU, power and fan, read from sysfs and procfs.

Downstream: `health`, `throttle`. What the kernel does not show is None or left out, never 0.
Source of the Jetson paths: the kernel's tegra, ina3221 and devfreq drivers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns

from edged.messages.health_schema import Gpu, HardwareThrottling
from edged.units import HZ_PER_MHZ, KB_PER_MB, MILLI_PER_UNIT, ns

RESCAN_NS = ns(60)  # some files appear late
MIN_VALID_C = -100  # a zone that is switched off shows less
GPU_NODES = ("gv11b", "ga10b", "gpu")  # device tree names of Tegra's GPUs
RESET_REASON_GLOBS = ("sys/devices/platform/*.pmc/reset_reason", "sys/devices/platform/bus@0/*.pmc/reset_reason")
PERCENT_PER_DUTY = 100 / 255  # of hwmon's pwm. Source: the kernel's hwmon/sysfs-interface


@dataclass(slots=True)
class SensorPaths:
    """Where the files are on this device."""

    zones: list[Path] = field(default_factory=list)
    coolers: list[Path] = field(default_factory=list)
    rails: list[tuple[str, Path, Path]] = field(default_factory=list)  # name, voltage in mV, current in mA
    overcurrent: list[Path] = field(default_factory=list)  # event counters
    gpu_load: Path | None = None  # permille
    gpu_hz: Path | None = None
    fan: Path | None = None  # duty, 0..255


class SysfsSensors:
    """The sensors of this device. Its files lie below `root`. Thread: one at a time."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._paths = SensorPaths()
        self._scanned_ns: int | None = None
        self._last_events: int | None = None

    def rescan(self) -> None:
        """Find the files again, if the last time was RESCAN_NS ago."""
        now_ns = monotonic_ns()
        if self._scanned_ns is None or now_ns - self._scanned_ns > RESCAN_NS:
            self._paths, self._scanned_ns = self._scan(), now_ns

    def temperatures_c(self) -> dict[str, float]:
        """By zone. A zone that is switched off is left out."""
        zones = {}
        for zone in self._paths.zones:
            millidegrees = _number(zone / "temp")
            if millidegrees is not None and millidegrees > MIN_VALID_C * MILLI_PER_UNIT:
                zones[_text(zone / "type") or zone.name] = round(millidegrees / MILLI_PER_UNIT, 1)
        return zones

    def throttling(self) -> HardwareThrottling | None:
        """Cooling devices that are active, without fans, and over-current events since the last call."""
        if not self._paths.coolers and not self._paths.overcurrent:
            return None
        active = [cooler for cooler in self._paths.coolers if (_number(cooler / "cur_state") or 0) > 0]
        kinds = [_text(cooler / "type") or cooler.name for cooler in active]
        return {
            "active": sorted({kind for kind in kinds if "fan" not in kind.lower()}),
            "over_current_events": self._new_overcurrent_events(),
            "over_current_total": self._last_events or 0,
        }

    def coolers(self) -> list[str]:
        """Kinds of cooling devices, active or not."""
        return sorted({_text(cooler / "type") or cooler.name for cooler in self._paths.coolers})

    def gpu(self) -> Gpu | None:
        if self._paths.gpu_load is None and self._paths.gpu_hz is None:
            return None
        permille = _number(self._paths.gpu_load)
        hertz = _number(self._paths.gpu_hz)
        return {
            "load_percent": None if permille is None else permille / 10,
            "mhz": None if hertz is None else round(hertz / HZ_PER_MHZ),
        }

    def power_w(self) -> dict[str, float]:
        """By rail."""
        power = {}
        for name, voltage, current in self._paths.rails:
            millivolts, milliamps = _number(voltage), _number(current)
            if millivolts is not None and milliamps is not None:
                power[name] = round(millivolts * milliamps / MILLI_PER_UNIT**2, 2)
        return power

    def fan_percent(self) -> float | None:
        duty = _number(self._paths.fan)
        return None if duty is None else round(duty * PERCENT_PER_DUTY, 1)

    def power_mode(self) -> str | None:
        """Number of the nvpmodel mode, from its status file: the tool itself can hang under load."""
        found = re.search(r"pmode:0*(\d+)", _text(self._root / "var/lib/nvpmodel/status") or "")
        return found.group(1) if found else None

    def gpu_memory_mb(self) -> int | None:
        """Memory that the GPU has taken (NvMap)."""
        found = re.search(r"NvMapMemUsed:\s+(\d+) kB", _text(self._root / "proc/meminfo") or "")
        return round(int(found.group(1)) / KB_PER_MB) if found else None

    def boot_reason(self) -> str | None:
        """Why the device started last, in the kernel's words."""
        return next(
            (text for pattern in RESET_REASON_GLOBS for path in self._root.glob(pattern) if (text := _text(path))), None
        )

    def pressure_percent(self) -> dict[str, float] | None:
        """Share of the last 10 s in which a task waited for cpu, memory, io.

        Source: Linux, Documentation/accounting/psi.rst.
        """
        waits = {}
        for kind in ("cpu", "memory", "io"):
            if found := re.search(r"some avg10=([\d.]+)", _text(self._root / "proc/pressure" / kind) or ""):
                waits[kind] = float(found.group(1))
        return waits or None

    def _new_overcurrent_events(self) -> int:
        now = sum(round(_number(counter) or 0) for counter in self._paths.overcurrent)
        before, self._last_events = self._last_events, now
        return max(0, now - before) if before is not None else 0

    def _scan(self) -> SensorPaths:
        sys = self._root / "sys"
        paths = SensorPaths(
            zones=sorted(sys.glob("class/thermal/thermal_zone*")),
            coolers=sorted(sys.glob("class/thermal/cooling_device*")),
        )
        for folder in sorted(sys.glob("class/hwmon/hwmon*")):
            name = _text(folder / "name")
            if name == "ina3221":
                paths.rails += _rails(folder)
            elif name == "soctherm_oc":
                paths.overcurrent += sorted(folder.glob("oc*_event_cnt"))
            elif name == "pwmfan" and (folder / "pwm1").exists():
                paths.fan = folder / "pwm1"
        for folder in sorted(sys.glob("class/devfreq/*")):
            node = (_text(folder / "device/of_node/name") or "").strip("\0")
            if node in GPU_NODES or folder.name.startswith("gpu-gpc"):
                load = folder / "device/load"
                paths.gpu_hz, paths.gpu_load = folder / "cur_freq", load if load.exists() else None
                break
        return paths


def _rails(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    for label in sorted(folder.glob("in*_label")):
        name, number = _text(label), label.name[2:-6]
        current = folder / f"curr{number}_input"
        if name and name != "NC" and current.exists():
            yield name, folder / f"in{number}_input", current


def _text(path: Path | None) -> str | None:
    if path is not None:
        with suppress(OSError, UnicodeDecodeError):
            return path.read_text().strip()
    return None


def _number(path: Path | None) -> float | None:
    text = _text(path)
    with suppress(ValueError):
        return float(text) if text else None
    return None
