"""The checks of `edged doctor`, as a table. A check that fails says what to do.

Downstream: the command, and the `diagnose` command of a running daemon. What needs OpenCV or ONNX Runtime is imported
where it is used, by name: either may be missing, and that is one of the results.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

from edged.config.certificates import certificate_ends, expiry
from edged.config.load import ETC, read_layers
from edged.config.messages import ConfigProblem
from edged.config.tables.models import ModelsConfig
from edged.config.tree import Config, require_cameras
from edged.config_check import check_layers, valid_config
from edged.config_remarks import AS_ROOT
from edged.device.check_result import CheckResult, failed, passed, unchecked
from edged.device.doctor_broker import broker_results
from edged.device.doctor_camera import check_camera
from edged.device.health import disk_usage
from edged.device.identity import device_id
from edged.device.info import discovery_device
from edged.errors import ConfigError, DeviceLost, EdgedError
from edged.inference.cuda.kernels import compiled_kernels
from edged.runtime.clock import Clock
from edged.units import BYTES_PER_KB, BYTES_PER_MB, MS_PER_S, plural
from engines.catalogue import load as load_cards
from engines.errors import CardError, EngineError, StoreError
from engines.store.model_store import ModelStore

MIN_DISK_MB = 500  # free; by hand: engines and stored messages
MIN_MEMORY_MB = 300  # free: what the daemon takes with the starter models, and a margin
MIN_YEAR = 2025  # this program is not older
MIN_TENSORRT = (10, 3)  # JetPack 6.1
FAULTY_OPENCV = ((4, 10), (4, 11))  # 4.8 of JetPack 6 does not have that fault
L4T_RELEASE = Path("/etc/nv_tegra_release")
SERVICE_SETTINGS = Path("/etc/systemd/system/edged.service.d")
MIN_L4T = (36, 4)  # JetPack 6.1
DEVICES = (("video", "/dev", "video[0-9]*"), ("render", "/dev/dri", "renderD*"), ("video", "/dev", "nvmap"))
INSTALL_PYCUDA = (
    "apt-get install g++ python3-dev and CUDA's nvcc and cudart-dev, then install edged again: it is built here"
)
INSTALL_KERNELS = "install CUDA's nvcc and then edged again: it compiles them; in a clone: make kernels"
INSTALL_LIBRARIES = "install edged again; in a clone: pip install '.[cpu]'"
RENEW = "renew it, as with: boxes renew ID (deploy/mosquitto); then edged provision FILE"
INSTALL_JETPACK = "install JetPack 6.1 or later"


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


def libraries(target: Target) -> Iterator[CheckResult]:
    """OpenCV and ONNX Runtime are installed; TensorRT, if it is installed, is new enough."""
    for module, name in (("cv2", "OpenCV"), ("av", "PyAV"), ("onnxruntime", "ONNX Runtime")):
        try:
            version = str(import_module(module).__version__)
        except ImportError as error:
            yield failed(name, str(error), INSTALL_LIBRARIES)
        else:
            yield opencv(version) if module == "cv2" else passed(name, version)
    try:
        yield tensorrt(str(import_module("tensorrt").__version__))
    except ImportError:
        yield unchecked("TensorRT", "not installed; models run on the CPU")
        return
    try:
        yield passed("pycuda", str(import_module("pycuda").VERSION_TEXT))
    except ImportError as error:
        yield failed("pycuda", f"{error}; models run on the CPU", INSTALL_PYCUDA)
    yield kernels(compiled_kernels())


def kernels(image: bytes | None) -> CheckResult:
    """Without them engines run all the same, but every frame is copied over the host."""
    if image is None:
        return failed("CUDA kernels", "not in this package; frames are copied over the host", INSTALL_KERNELS)
    return passed("CUDA kernels", f"{len(image) // BYTES_PER_KB} kB")


def tensorrt(version: str) -> CheckResult:
    """`version` is new enough."""
    if _numbers(version)[:2] >= MIN_TENSORRT:
        return passed("TensorRT", version)
    wanted = ".".join(map(str, MIN_TENSORRT))
    return failed("TensorRT", f"{version} is not supported; want {wanted} or later", INSTALL_JETPACK)


def opencv(version: str) -> CheckResult:
    """`version` has no fault that a picture from elsewhere can use."""
    if _numbers(version)[:2] in FAULTY_OPENCV:
        text = f"{version}: a crafted JPEG can crash it, or do worse (CVE-2025-53644); want 4.12 or later"
        return failed("OpenCV", text, INSTALL_LIBRARIES)
    return passed("OpenCV", version)


def jetson(target: Target) -> Iterator[CheckResult]:
    """NVIDIA's Linux for Tegra is new enough."""
    if L4T_RELEASE.exists():
        yield l4t(L4T_RELEASE.read_text())
    else:
        yield unchecked("Jetson", "this is not one")


def l4t(text: str) -> CheckResult:
    """`text` is of /etc/nv_tegra_release: `# R36 (release), REVISION: 4.3, …`."""
    match = re.search(r"R(\d+).*REVISION: (\d+)", text)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    name = f"L4T {release[0]}.{release[1]}"
    return (
        passed("Jetson", name) if release >= MIN_L4T else failed("Jetson", f"{name} is not supported", INSTALL_JETPACK)
    )


def models(target: Target) -> Iterator[CheckResult]:
    """Every model in use is in the store, is what its card says, and loads."""
    if target.config is None:
        yield _skipped("models")
        return
    config = target.config.models_in_use
    results = [_model(name, config) for name in dict.fromkeys(config.card_names)]
    yield from results
    if all(result.ok for result in results):
        try:
            yield _loaded(target.config)
        except (EngineError, EdgedError, ImportError) as error:
            yield failed("models load", str(error), _cure_of_loading(error))


def _model(name: str, config: ModelsConfig) -> CheckResult:
    try:
        card = load_cards(config.catalogue).get(name)
        if card is None:
            return failed(f"model {name}", "no such card", "edged models list")
        model = ModelStore(config.store, config.mirror).verify(card)
    except EngineError as error:
        return failed(f"model {name}", str(error), _cure_of_model(name, error))
    trial = "; starter weights, for trials; for work: edged models recommend" if card.source.bundled else ""
    return passed(f"model {name}", f"{model.path}, sha256 {model.sha256[:12]}{trial}")


def _cure_of_model(name: str, error: EngineError) -> str:
    """What helps depends on whether the file, its card or the folder is at fault."""
    if isinstance(error, CardError):
        return f"correct the card of {name} in models.catalogue, or name another model"
    if isinstance(error, StoreError):
        return "correct models.store, or give this user the right to read and write it"
    return f"edged models pull {name}"


def _cure_of_loading(error: Exception) -> str:
    """What helps when every model is in the store and they do not load together."""
    if isinstance(error, ConfigError):
        return "correct [models] or [compute]"
    if isinstance(error, ImportError):
        return INSTALL_LIBRARIES
    if isinstance(error, DeviceLost):
        return 'reboot; until then, compute.backend = "cpu" runs without the GPU'
    return "edged models verify"


def _loaded(config: Config) -> CheckResult:
    start_s = time.monotonic()
    import_module("edged.inference.load_models").load_models(config.models_in_use, config.compute).backend.close()
    return passed("models load", f"in {time.monotonic() - start_s:.1f} s")


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
CHECKS: tuple[Check, ...] = (libraries, jetson, models, cameras, broker, *OF_THE_SYSTEM)
QUICK_CHECKS: tuple[Check, ...] = (libraries, jetson, *OF_THE_SYSTEM)


def _summary(config: Config, path: Path | None, remarks: Sequence[ConfigProblem]) -> str:
    others = sum(AS_ROOT not in remark.text for remark in remarks)
    hidden = "; passwords not read, they are for root: sudo" if others < len(remarks) else ""
    rest = f"; {plural(others, 'remark')}: edged check" if others else ""
    count = plural(len(config.cameras), "camera")
    return f"{path or '/etc/edged'}: {count}, device {device_id(config.device.id)}{hidden}{rest}"


def _skipped(check: str) -> CheckResult:
    return unchecked(check, "not checked: the configuration is not valid")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
