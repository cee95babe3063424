"""The checks of `edged doctor`, as a table. A check that fails says what to do.

Downstream: the command, and the `diagnose` command of a running daemon.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from edged.config.certificates import certificate_ends, expiry
from edged.config.load import ETC, read_layers
from edged.config.messages import ConfigProblem
from edged.config.tree import Config, require_cameras
from edged.config_check import check_layers, valid_config
from edged.config_remarks import AS_ROOT
from edged.device.check_result import CheckResult, failed, passed, unchecked
from edged.device.doctor_broker import broker_results
from edged.device.doctor_camera import check_camera
from edged.device.doctor_models import model_results
from edged.device.doctor_software import jetson_results, library_results
from edged.device.health import disk_usage
from edged.device.identity import device_id
from edged.device.info import discovery_device
from edged.errors import ConfigError
from edged.runtime.clock import Clock
from edged.units import BYTES_PER_MB, MS_PER_S, plural

MIN_DISK_MB = 500  # free; by hand: engines and stored messages
MIN_MEMORY_MB = 300  # free: what the daemon takes with the starter models, and a margin
MIN_YEAR = 2025  # this program is not older
SERVICE_SETTINGS = Path("/etc/systemd/system/edged.service.d")
DEVICES = (("video", "/dev", "video[0-9]*"), ("render", "/dev/dri", "renderD*"), ("video", "/dev", "nvmap"))
RENEW = "renew it, as with: boxes renew ID (deploy/mosquitto); then edged provision FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is checked."""

    path: Path | None  # of the configuration; None: the default one
    config: Config | None  # None: not valid


Check = Callable[[Target], Iterator[CheckResult]]


def run_checks(path: Path | None, checks: Sequence[Check] | None = None) -> Iterator[CheckResult]:
    """The results, each as soon as it is there. `checks` None: all of CHECKS."""
    config: Config | None = None
    try:
        checked = check_layers(read_layers(path))
        config = checked.config  # with contradictions in it, the rest can be checked all the same
        require_cameras(valid_config(checked))
        yield passed("configuration", _summary(valid_config(checked), path, checked.remarks))
    except ConfigError as error:
        yield failed("configuration", str(error), config_cure(path, ETC))
    target = Target(path=path, config=config)
    for check in CHECKS if checks is None else checks:
        yield from check(target)


def config_cure(path: Path | None, etc: Path) -> str:
    """What helps against a configuration with errors; where there is none at all yet, how to give one."""
    if path is None and os.path.isdir(etc) and not os.access(etc, os.R_OK | os.X_OK):
        return f"use sudo: {etc} may not be read by this user"
    if path is None and not (etc / "edged.toml").exists() and not any(etc.glob("conf.d/*.toml")):
        return f"plug in a stick with edged-provision.toml, or write {etc}/edged.toml: there are no settings yet"
    return f"edged check {path or ''}".strip()


def quick_checks(config: Config) -> Iterator[CheckResult]:
    """Results of the checks that do not disturb a running daemon."""
    for check in QUICK_CHECKS:
        yield from check(Target(path=None, config=config))


def credentials(target: Target) -> Iterator[CheckResult]:
    """systemd finds every credential of the service: without one it starts none, with status 243 and no name."""
    yield from missing_credentials(SERVICE_SETTINGS)


def missing_credentials(folder: Path) -> Iterator[CheckResult]:
    """A failure for each file that the service's settings in this folder want and that is not there."""
    for settings in sorted(folder.glob("*.conf")) if os.access(folder, os.R_OK) else ():
        for path in re.findall(r"(?m)^LoadCredential=[^:\n]+:(/.*)$", settings.read_text(errors="replace")):
            if not os.path.lexists(path) and os.access(Path(path).parent, os.X_OK):
                text = f"{path}: no such file, but {settings} wants it: the service does not start (243/CREDENTIALS)"
                yield failed("credentials", text, "edged provision FILE again, or remove that line and daemon-reload")


def certificates(target: Target) -> Iterator[CheckResult]:
    """No certificate of the configuration has ended, or ends soon."""
    for key, end_ms in certificate_ends(target.config).items() if target.config else ():
        fault = expiry(end_ms, time.time() * MS_PER_S)
        if fault is not None:
            yield failed("certificate", f"{key}: {fault}", RENEW)
        else:
            yield passed("certificate", f"{key} ends on {time.strftime('%Y-%m-%d', time.gmtime(end_ms / MS_PER_S))}")


def software(target: Target) -> Iterator[CheckResult]:
    """Libraries, and the system of a Jetson, are what the daemon needs."""
    yield from library_results()
    yield from jetson_results()


def models(target: Target) -> Iterator[CheckResult]:
    """Every model in use is in the store, is what its card says, and loads."""
    yield from [_skipped("models")] if target.config is None else model_results(target.config)


def cameras(target: Target) -> Iterator[CheckResult]:
    """Every camera gives frames, in which its regions lie: two seconds of them are looked at."""
    if target.config is None or not target.config.cameras:
        yield unchecked("cameras", "none configured")
        return
    for name, config in target.config.cameras.items():
        if config.enabled:
            yield check_camera(name, config)
        else:
            yield unchecked(f"camera {name}", "switched off")


def broker(target: Target) -> Iterator[CheckResult]:
    """The broker takes everything that the daemon sends, and nobody else has this device's id."""
    if target.config is None:
        yield _skipped("broker")
        return
    config = target.config
    classes = {name: camera.classes or tuple(config.models.pose) for name, camera in config.enabled_cameras.items()}
    discovery = discovery_device(config, device_id(config.device.id), classes) if config.homeassistant.enabled else None
    yield from broker_results(config, discovery)


def permissions(target: Target) -> Iterator[CheckResult]:
    """This user may open cameras and the GPU, and write the store and the state."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    for group, folder, pattern in DEVICES:
        denied = [device for device in Path(folder).glob(pattern) if not os.access(device, os.R_OK | os.W_OK)]
        if denied:
            do = f"sudo usermod -aG {_group_name(denied[0], group)} {user}, then log in again"
            yield failed(f"group {group}", f"{user} may not open {denied[0]}", do)
    if target.config is not None:
        yield writable("model store", target.config.models.store, user)
        yield writable("device.state_dir", target.config.device.state_dir, user)


def writable(check: str, folder: Path, user: str) -> CheckResult:
    """The folder, or the nearest one above that exists, can be written."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))  # or may not be seen
    if existing.is_dir() and os.access(existing, os.W_OK):
        return passed(check, f"{folder} can be written")
    if not os.path.isdir(existing):
        return failed(check, f"{existing} is no folder", "remove it, or name a folder in the configuration")
    do = f"sudo install -d -o {user} {folder}, or run as the user of the service"
    return failed(check, f"{user} cannot write to {existing}", do)


def _group_name(device: Path, default: str) -> str:
    try:
        return grp.getgrgid(device.stat().st_gid).gr_name
    except (KeyError, OSError):
        return default


def clock(target: Target) -> Iterator[CheckResult]:
    """The wall clock is set and synchronised."""
    yield clock_result(time.time(), Clock().synced, installed=ETC.is_dir())


def clock_result(now_s: float, synced: bool, *, installed: bool = True) -> CheckResult:
    """The clock is set and synchronised. `now_s` is UTC. Where edged is not `installed`, nobody relies on its clock."""
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    do = "sudo timedatectl set-ntp true; without a network, fit a clock battery"
    if time.gmtime(now_s).tm_year < MIN_YEAR:
        return failed("clock", f"{text} is in the past", do)
    if synced:
        return passed("clock", text)
    text = f"{text}, but it is not synchronised"
    return failed("clock", text, do) if installed else unchecked("clock", text)


def space(target: Target) -> Iterator[CheckResult]:
    """There is disk space and memory to work with."""
    store = target.config.models.store if target.config else Path("/")
    yield space_result("disk", disk_usage(store)["disk_free_mb"], MIN_DISK_MB, f"free space where {store} is")
    free_mb = round(psutil.virtual_memory().available / BYTES_PER_MB)
    yield space_result("memory", free_mb, MIN_MEMORY_MB, "stop other programs, or add swap")


def space_result(check: str, free_mb: int | None, min_mb: int, do: str) -> CheckResult:
    """`do` says what helps when it is too little."""
    if free_mb is None:
        return unchecked(check, "unknown")
    enough = free_mb >= min_mb
    return passed(check, f"{free_mb} MB free") if enough else failed(check, f"{free_mb} MB free; want {min_mb}", do)


OF_THE_SYSTEM: tuple[Check, ...] = (credentials, certificates, permissions, clock, space)
CHECKS: tuple[Check, ...] = (software, models, cameras, broker, *OF_THE_SYSTEM)
QUICK_CHECKS: tuple[Check, ...] = (software, *OF_THE_SYSTEM)


def _summary(config: Config, path: Path | None, remarks: Sequence[ConfigProblem]) -> str:
    others = sum(AS_ROOT not in remark.text for remark in remarks)
    hidden = "; passwords not read, they are for root: sudo" if others < len(remarks) else ""
    rest = f"; {plural(others, 'remark')}: edged check" if others else ""
    count = plural(len(config.cameras), "camera")
    return f"{path or '/etc/edged'}: {count}, device {device_id(config.device.id)}{hidden}{rest}"


def _skipped(check: str) -> CheckResult:
    return unchecked(check, "not checked: the configuration is not valid")
