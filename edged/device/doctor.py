"""What a technician would check, as a table: each check looks for itself and says what to do when it fails.

Upstream: `edged doctor`; downstream: findings. Checks import what they look at, so that a broken
installation can still be examined.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

from edged.config.tables.camera import CameraConfig
from edged.config.tables.models import ModelsConfig
from edged.config.toml_text import dotted
from edged.config.tree import Config
from edged.device.health import disk_usage
from edged.device.identity import device_id
from edged.errors import BrokerLost, CameraLost, ConfigError, EdgedError, EndOfSource
from edged.inference.cuda.kernels import compiled_kernels
from edged.runtime.clock import Clock
from edged.units import BYTES_PER_KB, BYTES_PER_MB

MIN_DISK_MB = 500
MIN_MEMORY_MB = 300
MIN_YEAR = 2025  # this program is not older
MIN_TENSORRT = (10, 3)  # JetPack 6.1
L4T_RELEASE = Path("/etc/nv_tegra_release")
MIN_L4T = (36, 4)  # JetPack 6.1
DEVICES = (("video", "/dev", "video[0-9]*"), ("render", "/dev/dri", "renderD*"), ("video", "/dev", "nvmap"))
PYCUDA = "apt-get install g++ python3-dev and CUDA's nvcc and cudart-dev, then install edged again: it is built here"
MAX_UNDECODABLE = 30  # frames in a row before a camera is called broken


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of the report. `ok` None: does not apply here, or could not be looked at."""

    check: str
    ok: bool | None
    message: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is examined."""

    path: Path | None  # the configuration file asked for
    config: Config | None  # None: not valid


Check = Callable[[Target], Iterator[CheckResult]]


def run_checks(path: Path | None, checks: Sequence[Check] | None = None) -> Iterator[CheckResult]:
    """Every finding, as it is made; of all checks, unless told which."""
    from edged.config.load import read_layers, validate  # noqa: PLC0415
    from edged.config_check import checked_config  # noqa: PLC0415

    found: Config | None = None
    try:
        layers = read_layers(path)
        found = validate(layers)  # what contradicts itself can be examined all the same
        yield CheckResult(check="configuration", ok=True, message=_configured(checked_config(layers), path))
    except ConfigError as error:
        yield CheckResult(check="configuration", ok=False, message=str(error), do=f"edged check {path or ''}".strip())
    patient = Target(path=path, config=found)
    for check in CHECKS if checks is None else checks:
        yield from check(patient)


def libraries(patient: Target) -> Iterator[CheckResult]:
    """OpenCV and ONNX Runtime must be there; TensorRT, where it is, must be new enough."""
    for module, name in (("cv2", "OpenCV"), ("onnxruntime", "ONNX Runtime")):
        try:
            yield CheckResult(check=name, ok=True, message=str(import_module(module).__version__))
        except ImportError as error:
            yield CheckResult(check=name, ok=False, message=str(error), do='pip install "edged[cpu]"')
    try:
        yield tensorrt(str(import_module("tensorrt").__version__))
    except ImportError:
        yield CheckResult(check="TensorRT", ok=None, message="not installed; models run on the CPU")
        return
    try:
        yield CheckResult(check="pycuda", ok=True, message=str(import_module("pycuda").VERSION_TEXT))
    except ImportError as error:
        yield CheckResult(check="pycuda", ok=False, message=f"{error}; models run on the CPU", do=PYCUDA)
    yield kernels(compiled_kernels())


def kernels(image: bytes | None) -> CheckResult:
    """Without them engines run all the same, but every frame goes over the host."""
    if image is not None:
        return CheckResult(check="CUDA kernels", ok=True, message=f"{len(image) // BYTES_PER_KB} kB")
    do = "put CUDA's nvcc onto the box and install edged again: it compiles them; in a clone: make kernels"
    return CheckResult(check="CUDA kernels", ok=False, message="not in this package; frames go over the host", do=do)


def tensorrt(version: str) -> CheckResult:
    if _numbers(version)[:2] >= MIN_TENSORRT:
        return CheckResult(check="TensorRT", ok=True, message=version)
    return CheckResult(
        check="TensorRT",
        ok=False,
        message=f"{version} is not supported; want {'.'.join(map(str, MIN_TENSORRT))} or later",
        do="install JetPack 6.1 or later",
    )


def jetson(patient: Target) -> Iterator[CheckResult]:
    """The release of the Jetson's own Linux."""
    if not L4T_RELEASE.exists():
        yield CheckResult(check="Jetson", ok=None, message="this is not one")
        return
    yield l4t(L4T_RELEASE.read_text())


def l4t(written: str) -> CheckResult:
    """Source: /etc/nv_tegra_release, `# R36 (release), REVISION: 4.3, …`."""
    match = re.search(r"R(\d+).*REVISION: (\d+)", written)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    said = f"L4T {release[0]}.{release[1]}"
    if release >= MIN_L4T:
        return CheckResult(check="Jetson", ok=True, message=said)
    return CheckResult(check="Jetson", ok=False, message=f"{said} is not supported", do="install JetPack 6.1 or later")


def models(patient: Target) -> Iterator[CheckResult]:
    """Every model in use is here, is what its card says, and loads."""
    from engines.errors import EngineError  # noqa: PLC0415

    if patient.config is None:
        yield _skipped("models")
        return
    settings = patient.config.models
    found = [_model(name, settings) for name in dict.fromkeys((settings.detector, *settings.pose.values()))]
    yield from found
    if all(finding.ok for finding in found):
        try:
            yield _loaded(patient.config)
        except (EngineError, EdgedError, ImportError) as error:
            yield CheckResult(check="models load", ok=False, message=str(error), do="edged models verify")


def _model(name: str, settings: ModelsConfig) -> CheckResult:
    from engines.catalogue import load  # noqa: PLC0415
    from engines.errors import EngineError  # noqa: PLC0415
    from engines.store.model_store import ModelStore  # noqa: PLC0415

    try:
        card = load(settings.catalogue).get(name)
        if card is None:
            return CheckResult(check=f"model {name}", ok=False, message="no such card", do="edged models list")
        verdict = ModelStore(settings.store, settings.mirror).verify(card)
    except EngineError as error:
        return CheckResult(check=f"model {name}", ok=False, message=str(error), do=f"edged models pull {name}")
    return CheckResult(check=f"model {name}", ok=True, message=f"{verdict.path}, sha256 {verdict.sha256[:12]}")


def _loaded(settings: Config) -> CheckResult:
    from edged.inference.load_models import load_models  # noqa: PLC0415

    start_s = time.monotonic()
    load_models(settings.models, settings.compute).backend.close()
    return CheckResult(check="models load", ok=True, message=f"in {time.monotonic() - start_s:.1f} s")


def cameras(patient: Target) -> Iterator[CheckResult]:
    """Every camera gives a frame, in which its regions lie."""
    if patient.config is None or not patient.config.cameras:
        yield CheckResult(check="cameras", ok=None, message="none configured")
        return
    for name, settings in patient.config.cameras.items():
        if settings.enabled:
            yield _camera(name, settings)
        else:
            yield CheckResult(check=f"camera {name}", ok=None, message="switched off")


def _camera(name: str, settings: CameraConfig) -> CheckResult:
    """Looked at in a thread of its own: a driver may hang."""
    found: list[CheckResult] = []
    limit_s = settings.open_timeout_s + settings.frame_timeout_s
    look = threading.Thread(target=lambda: found.append(_first_frame(name, settings)), daemon=True)
    look.start()
    look.join(limit_s)
    silent = f"{settings.source}: silent for {limit_s:g} s"
    return found[0] if found else _camera_failed(name, silent)


def _first_frame(name: str, settings: CameraConfig) -> CheckResult:
    from edged.config_check import region_violations  # noqa: PLC0415

    start_s = time.monotonic()
    try:
        width, height = _size_of_frame(name, settings)
    except (CameraLost, EndOfSource, ConfigError, ImportError) as error:
        return _camera_failed(name, str(error))
    said = f"{width} x {height} px after {time.monotonic() - start_s:.1f} s"
    wrong = [f"{dotted(key)} {told}" for key, _, told in region_violations((), settings, (width, height))]
    do = f"correct [cameras.{name}], or the size that the camera sends" if wrong else ""
    return CheckResult(check=f"camera {name}", ok=not wrong, message="\n".join([said, *wrong]), do=do)


def _size_of_frame(name: str, settings: CameraConfig) -> tuple[int, int]:
    from edged.capture.make_camera import make_camera  # noqa: PLC0415

    with closing(make_camera(name, settings).open()) as stream:
        for _ in range(MAX_UNDECODABLE):
            image = stream.read(None).image
            if image.size:
                return image.shape[1], image.shape[0]
    raise CameraLost(f"none of {MAX_UNDECODABLE} frames could be decoded")


def _camera_failed(name: str, said: str) -> CheckResult:
    do = "check cable, power and address; a camera that the daemon has open must be freed: systemctl stop edged"
    return CheckResult(check=f"camera {name}", ok=False, message=said, do=do)


def broker(patient: Target) -> Iterator[CheckResult]:
    """The broker answers, lets us in, takes a message and gives it back."""
    from edged.mqtt.request import check_broker  # noqa: PLC0415

    if patient.config is None:
        yield _skipped("broker")
        return
    mqtt, device = patient.config.mqtt, device_id(patient.config.device.id)
    try:
        trial = check_broker(mqtt, device)
    except (BrokerLost, ConfigError) as error:
        do = "start the broker, or correct [mqtt]; to try without one: edged run --embedded-broker"
        yield CheckResult(check="broker", ok=False, message=str(error), do=do)
        return
    yield CheckResult(check="broker", ok=True, message=f"{mqtt.host}:{mqtt.port} speaks MQTT {trial.version}")
    write = f"give {mqtt.username or device} the right to write {mqtt.base}/{device}/#"
    if trial.round_trip_ms is not None:
        yield CheckResult(check="publishing", ok=True, message=f"there and back in {trial.round_trip_ms:.0f} ms")
    elif trial.acknowledged and trial.version == "5":
        yield CheckResult(check="publishing", ok=True, message="taken by the broker; we may not read it back")
    else:
        yield CheckResult(
            check="publishing", ok=False, message=f"{trial.topic} was not taken, or not given back", do=write
        )


def permissions(patient: Target) -> Iterator[CheckResult]:
    """This user may open cameras and the GPU, and write the store."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    for group, folder, pattern in DEVICES:
        shut = [device for device in Path(folder).glob(pattern) if not os.access(device, os.R_OK | os.W_OK)]
        if shut:
            do = f"sudo usermod -aG {_group_name(shut[0], group)} {user}, then log in again"
            yield CheckResult(check=f"group {group}", ok=False, message=f"{user} may not open {shut[0]}", do=do)
    if patient.config is not None:
        yield writable("model store", patient.config.models.store, user)
        yield writable("device.state_dir", patient.config.device.state_dir, user)


def writable(check: str, folder: Path, user: str) -> CheckResult:
    """The folder, or the nearest one above that exists."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if place.is_dir() and os.access(place, os.W_OK):
        return CheckResult(check=check, ok=True, message=f"{folder} can be written")
    do = f"sudo install -d -o {user} {folder}, or run as the user of the service"
    return CheckResult(check=check, ok=False, message=f"{user} can put nothing into {place}", do=do)


def _group_name(device: Path, usual: str) -> str:
    try:
        return grp.getgrgid(device.stat().st_gid).gr_name
    except (KeyError, OSError):
        return usual


def clock(patient: Target) -> Iterator[CheckResult]:
    yield clock_result(time.time(), Clock().synced)


def clock_result(now_s: float, synced: bool) -> CheckResult:
    """The clock is set, and something keeps it."""
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    do = "sudo timedatectl set-ntp true; without a network, fit a clock battery"
    if time.gmtime(now_s).tm_year < MIN_YEAR:
        return CheckResult(check="clock", ok=False, message=f"{told} is in the past", do=do)
    if not synced:
        return CheckResult(check="clock", ok=False, message=f"{told}, but nothing keeps it", do=do)
    return CheckResult(check="clock", ok=True, message=told)


def space(patient: Target) -> Iterator[CheckResult]:
    """There is disk and memory to work with."""
    store = patient.config.models.store if patient.config else Path("/")
    yield space_result("disk", disk_usage(store)["disk_free_mb"], MIN_DISK_MB, f"free space where {store} is")
    free_mb = round(psutil.virtual_memory().available / BYTES_PER_MB)
    yield space_result("memory", free_mb, MIN_MEMORY_MB, "stop other programs, or add swap")


def space_result(check: str, free_mb: int | None, min_mb: int, do: str) -> CheckResult:
    if free_mb is None:
        return CheckResult(check=check, ok=None, message="cannot be told")
    said = f"{free_mb} MB free"
    if free_mb >= min_mb:
        return CheckResult(check=check, ok=True, message=said)
    return CheckResult(check=check, ok=False, message=f"{said}; want {min_mb}", do=do)


CHECKS: tuple[Check, ...] = (libraries, jetson, models, cameras, broker, permissions, clock, space)
QUICK_CHECKS: tuple[Check, ...] = (libraries, jetson, permissions, clock, space)  # and in nobody's way


def quick_checks(settings: Config) -> Iterator[CheckResult]:
    """What can be found out while the daemon runs."""
    for check in QUICK_CHECKS:
        yield from check(Target(path=None, config=settings))


def _configured(settings: Config, path: Path | None) -> str:
    return f"{path or '/etc/edged'}: {len(settings.cameras)} cameras, device {device_id(settings.device.id)}"


def _skipped(check: str) -> CheckResult:
    return CheckResult(check=check, ok=None, message="not looked at: the configuration is not valid")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
