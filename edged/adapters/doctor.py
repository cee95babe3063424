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

from edged import config
from edged.adapters.cuda.kernels import built
from edged.box.health import MB, of_disk
from edged.box.identity import device_id
from edged.clock import Clock
from edged.config import Config
from edged.configfile.words import dotted
from edged.errors import BrokerLost, CameraLost, ConfigError, EdgedError, EndOfSource

LEAST_DISK_MB = 500
LEAST_MEMORY_MB = 300
SANE_YEAR = 2025  # this program is not older
LEAST_TENSORRT = (10, 3)  # JetPack 6.1
L4T_RELEASE = Path("/etc/nv_tegra_release")
LEAST_L4T = (36, 4)  # JetPack 6.1
DEVICES = (("video", "/dev", "video[0-9]*"), ("render", "/dev/dri", "renderD*"), ("video", "/dev", "nvmap"))
PYCUDA = "apt-get install g++ python3-dev and CUDA's nvcc and cudart-dev, then install edged again: it is built here"
UNDECODABLE = 30  # frames in a row before a camera is called broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. `ok` None: does not apply here, or could not be looked at."""

    check: str
    ok: bool | None
    said: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined."""

    path: Path | None  # the configuration file asked for
    config: Config | None  # None: not valid


Check = Callable[[Patient], Iterator[Finding]]


def examine(path: Path | None, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """Every finding, as it is made; of all checks, unless told which."""
    from edged.configfile.crosscheck import consistent  # noqa: PLC0415
    from edged.configfile.loading import read, validated  # noqa: PLC0415

    found: Config | None = None
    try:
        layers = read(path)
        found = validated(layers)  # what contradicts itself can be examined all the same
        yield Finding(check="configuration", ok=True, said=_configured(consistent(layers), path))
    except ConfigError as error:
        yield Finding(check="configuration", ok=False, said=str(error), do=f"edged check {path or ''}".strip())
    patient = Patient(path=path, config=found)
    for check in CHECKS if checks is None else checks:
        yield from check(patient)


def libraries(patient: Patient) -> Iterator[Finding]:
    """OpenCV and ONNX Runtime must be there; TensorRT, where it is, must be new enough."""
    for module, name in (("cv2", "OpenCV"), ("onnxruntime", "ONNX Runtime")):
        try:
            yield Finding(check=name, ok=True, said=str(import_module(module).__version__))
        except ImportError as error:
            yield Finding(check=name, ok=False, said=str(error), do='pip install "edged[cpu]"')
    try:
        yield tensorrt(str(import_module("tensorrt").__version__))
    except ImportError:
        yield Finding(check="TensorRT", ok=None, said="not installed; models run on the CPU")
        return
    try:
        yield Finding(check="pycuda", ok=True, said=str(import_module("pycuda").VERSION_TEXT))
    except ImportError as error:
        yield Finding(check="pycuda", ok=False, said=f"{error}; models run on the CPU", do=PYCUDA)
    yield kernels(built())


def kernels(image: bytes | None) -> Finding:
    """Without them engines run all the same, but every frame goes over the host."""
    if image is not None:
        return Finding(check="CUDA kernels", ok=True, said=f"{len(image) // 1000} kB")
    do = "put CUDA's nvcc onto the box and install edged again: it compiles them; in a clone: make kernels"
    return Finding(check="CUDA kernels", ok=False, said="not in this package; frames go over the host", do=do)


def tensorrt(version: str) -> Finding:
    if _numbers(version)[:2] >= LEAST_TENSORRT:
        return Finding(check="TensorRT", ok=True, said=version)
    return Finding(
        check="TensorRT",
        ok=False,
        said=f"{version} is not supported; want {'.'.join(map(str, LEAST_TENSORRT))} or later",
        do="install JetPack 6.1 or later",
    )


def jetson(patient: Patient) -> Iterator[Finding]:
    """The release of the Jetson's own Linux."""
    if not L4T_RELEASE.exists():
        yield Finding(check="Jetson", ok=None, said="this is not one")
        return
    yield l4t(L4T_RELEASE.read_text())


def l4t(written: str) -> Finding:
    """Source: /etc/nv_tegra_release, `# R36 (release), REVISION: 4.3, …`."""
    match = re.search(r"R(\d+).*REVISION: (\d+)", written)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    said = f"L4T {release[0]}.{release[1]}"
    if release >= LEAST_L4T:
        return Finding(check="Jetson", ok=True, said=said)
    return Finding(check="Jetson", ok=False, said=f"{said} is not supported", do="install JetPack 6.1 or later")


def models(patient: Patient) -> Iterator[Finding]:
    """Every model in use is here, is what its card says, and loads."""
    from engines.errors import EngineError  # noqa: PLC0415

    if patient.config is None:
        yield _unexamined("models")
        return
    settings = patient.config.models
    found = [_model(name, settings) for name in dict.fromkeys((settings.detector, *settings.pose.values()))]
    yield from found
    if all(finding.ok for finding in found):
        try:
            yield _loaded(patient.config)
        except (EngineError, EdgedError, ImportError) as error:
            yield Finding(check="models load", ok=False, said=str(error), do="edged models verify")


def _model(name: str, settings: config.Models) -> Finding:
    from engines.catalogue import load  # noqa: PLC0415
    from engines.errors import EngineError  # noqa: PLC0415
    from engines.store import Store  # noqa: PLC0415

    try:
        card = load(settings.catalogue).get(name)
        if card is None:
            return Finding(check=f"model {name}", ok=False, said="no such card", do="edged models list")
        verdict = Store(settings.store, settings.mirror).verify(card)
    except EngineError as error:
        return Finding(check=f"model {name}", ok=False, said=str(error), do=f"edged models pull {name}")
    return Finding(check=f"model {name}", ok=True, said=f"{verdict.path}, sha256 {verdict.sha256[:12]}")


def _loaded(settings: Config) -> Finding:
    from edged.adapters.planes import engines_of  # noqa: PLC0415

    start_s = time.monotonic()
    engines_of(settings.models, settings.compute).plane.close()
    return Finding(check="models load", ok=True, said=f"in {time.monotonic() - start_s:.1f} s")


def cameras(patient: Patient) -> Iterator[Finding]:
    """Every camera gives a frame, in which its regions lie."""
    if patient.config is None or not patient.config.cameras:
        yield Finding(check="cameras", ok=None, said="none configured")
        return
    for name, settings in patient.config.cameras.items():
        if settings.enabled:
            yield _camera(name, settings)
        else:
            yield Finding(check=f"camera {name}", ok=None, said="switched off")


def _camera(name: str, settings: config.Camera) -> Finding:
    """Looked at in a thread of its own: a driver may hang."""
    found: list[Finding] = []
    limit_s = settings.open_timeout_s + settings.stall_timeout_s
    look = threading.Thread(target=lambda: found.append(_first_frame(name, settings)), daemon=True)
    look.start()
    look.join(limit_s)
    silent = f"{settings.source}: silent for {limit_s:g} s"
    return found[0] if found else _no_camera(name, silent)


def _first_frame(name: str, settings: config.Camera) -> Finding:
    from edged.configfile.crosscheck import drawn  # noqa: PLC0415

    start_s = time.monotonic()
    try:
        width, height = _size_of_frame(name, settings)
    except (CameraLost, EndOfSource, ConfigError, ImportError) as error:
        return _no_camera(name, str(error))
    said = f"{width} x {height} px after {time.monotonic() - start_s:.1f} s"
    wrong = [f"{dotted(key)} {told}" for key, _, told in drawn((), settings, (width, height))]
    do = f"correct [cameras.{name}], or the size that the camera sends" if wrong else ""
    return Finding(check=f"camera {name}", ok=not wrong, said="\n".join([said, *wrong]), do=do)


def _size_of_frame(name: str, settings: config.Camera) -> tuple[int, int]:
    from edged.adapters.cameras import camera_of  # noqa: PLC0415

    with closing(camera_of(name, settings).open()) as stream:
        for _ in range(UNDECODABLE):
            image = stream.read(None).image
            if image.size:
                return image.shape[1], image.shape[0]
    raise CameraLost(f"none of {UNDECODABLE} frames could be decoded")


def _no_camera(name: str, said: str) -> Finding:
    do = "check cable, power and address; a camera that the daemon has open must be freed: systemctl stop edged"
    return Finding(check=f"camera {name}", ok=False, said=said, do=do)


def broker(patient: Patient) -> Iterator[Finding]:
    """The broker answers, lets us in, takes a message and gives it back."""
    from edged.adapters.broker_trial import try_broker  # noqa: PLC0415

    if patient.config is None:
        yield _unexamined("broker")
        return
    mqtt, device = patient.config.mqtt, device_id(patient.config.device.id)
    try:
        trial = try_broker(mqtt, device)
    except (BrokerLost, ConfigError) as error:
        do = "start the broker, or correct [mqtt]; to try without one: edged run --embedded-broker"
        yield Finding(check="broker", ok=False, said=str(error), do=do)
        return
    yield Finding(check="broker", ok=True, said=f"{mqtt.host}:{mqtt.port} speaks MQTT {trial.version}")
    write = f"give {mqtt.username or device} the right to write {mqtt.base}/{device}/#"
    if trial.echo_ms is not None:
        yield Finding(check="publishing", ok=True, said=f"there and back in {trial.echo_ms:.0f} ms")
    elif trial.acknowledged and trial.version == "5":
        yield Finding(check="publishing", ok=True, said="taken by the broker; we may not read it back")
    else:
        yield Finding(check="publishing", ok=False, said=f"{trial.topic} was not taken, or not given back", do=write)


def permissions(patient: Patient) -> Iterator[Finding]:
    """This user may open cameras and the GPU, and write the store."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    for group, folder, pattern in DEVICES:
        shut = [device for device in Path(folder).glob(pattern) if not os.access(device, os.R_OK | os.W_OK)]
        if shut:
            do = f"sudo usermod -aG {_group_of(shut[0], group)} {user}, then log in again"
            yield Finding(check=f"group {group}", ok=False, said=f"{user} may not open {shut[0]}", do=do)
    if patient.config is not None:
        yield writable("model store", patient.config.models.store, user)
        yield writable("device.state", patient.config.device.state, user)


def writable(check: str, folder: Path, user: str) -> Finding:
    """The folder, or the nearest one above that exists."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if place.is_dir() and os.access(place, os.W_OK):
        return Finding(check=check, ok=True, said=f"{folder} can be written")
    do = f"sudo install -d -o {user} {folder}, or run as the user of the service"
    return Finding(check=check, ok=False, said=f"{user} can put nothing into {place}", do=do)


def _group_of(device: Path, usual: str) -> str:
    try:
        return grp.getgrgid(device.stat().st_gid).gr_name
    except (KeyError, OSError):
        return usual


def clock(patient: Patient) -> Iterator[Finding]:
    yield kept(time.time(), Clock().synced)


def kept(now_s: float, synced: bool) -> Finding:
    """The clock is set, and something keeps it."""
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    do = "sudo timedatectl set-ntp true; without a network, fit a clock battery"
    if time.gmtime(now_s).tm_year < SANE_YEAR:
        return Finding(check="clock", ok=False, said=f"{told} is in the past", do=do)
    if not synced:
        return Finding(check="clock", ok=False, said=f"{told}, but nothing keeps it", do=do)
    return Finding(check="clock", ok=True, said=told)


def room(patient: Patient) -> Iterator[Finding]:
    """There is disk and memory to work with."""
    store = patient.config.models.store if patient.config else Path("/")
    yield enough("disk", of_disk(store)["disk_free_mb"], LEAST_DISK_MB, f"free space where {store} is")
    free_mb = round(psutil.virtual_memory().available / MB)
    yield enough("memory", free_mb, LEAST_MEMORY_MB, "stop other programs, or add swap")


def enough(check: str, free_mb: int | None, least_mb: int, do: str) -> Finding:
    if free_mb is None:
        return Finding(check=check, ok=None, said="cannot be told")
    said = f"{free_mb} MB free"
    if free_mb >= least_mb:
        return Finding(check=check, ok=True, said=said)
    return Finding(check=check, ok=False, said=f"{said}; want {least_mb}", do=do)


CHECKS: tuple[Check, ...] = (libraries, jetson, models, cameras, broker, permissions, clock, room)
QUICK: tuple[Check, ...] = (libraries, jetson, permissions, clock, room)  # and in nobody's way


def glance(settings: Config) -> Iterator[Finding]:
    """What can be found out while the daemon runs."""
    for check in QUICK:
        yield from check(Patient(path=None, config=settings))


def _configured(settings: Config, path: Path | None) -> str:
    return f"{path or '/etc/edged'}: {len(settings.cameras)} cameras, device {device_id(settings.device.id)}"


def _unexamined(check: str) -> Finding:
    return Finding(check=check, ok=None, said="not looked at: the configuration is not valid")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
