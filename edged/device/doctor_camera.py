"""The check of one camera: it gives frames, in which its regions lie. A camera that does not says what to do.

Downstream: `doctor`. OpenCV and PyAV are imported where they are used, by name: either may be missing.
"""

from __future__ import annotations

import threading
from importlib import import_module

from edged.capture.look import LOOK_S, look
from edged.config.tables.camera import CameraConfig
from edged.config.toml_text import dotted
from edged.config_check import region_violations
from edged.device.check_result import CheckResult, failed
from edged.errors import CameraLost, ConfigError, EndOfSource

SOURCE, NETWORK, LOGIN, TLS, SETTINGS, USB, JETPACK = (
    "correct {table}.source",
    "check power, cable and network of the camera, and {table}.source",
    "correct {table}.username and {table}.password; the password may be a credential of that name",
    "correct {table}.ca, or the certificate in the camera",
    "change it in the settings of the camera, or choose another of its streams by {table}.source",
    "plug it in again, at another port or with another cable; {table}.source must name it",
    "install JetPack 6.1 or later; its python3-opencv is used, none from pip",
)
CURES = {  # by the code of the error
    "password_wrong": LOGIN,
    "password_missing": LOGIN,
    "login_unsupported": "set the camera's RTSP login to digest with SHA-256 or MD5, or to basic",
    "no_such_stream": "correct the path in {table}.source; the camera's manual or settings have it",
    "no_such_host": "correct the host in {table}.source",
    "refused": "switch RTSP on in the settings of the camera, or correct the port in {table}.source",
    "not_rtsp": "correct the port in {table}.source",
    "timeout": NETWORK,
    "network": NETWORK,
    "broken_off": NETWORK,
    "tls_ca": TLS,
    "tls_certificate": TLS,
    "tls": TLS,
    "error_reply": SETTINGS,
    "no_video": SETTINGS,
    "no_key_frame": SETTINGS,
    "absent": "correct {table}.source, or plug the device in",
    "forbidden": "add the user to the group video: sudo usermod -aG video USER, then log in again",
    "depth": SOURCE,
    "busy": "stop the program that has it open; if it is the daemon: systemctl stop edged",
    "unplugged": USB,
    "stalled": USB,
    "driver": USB,
    "not_a_camera": SOURCE,
    "format": "correct {table}.format",
    "moved": "nothing: it is opened at its new address; correct {table}.source when convenient",
    "no_onvif": "switch ONVIF on in the settings of the camera, or write its stream's address into {table}.source",
    "no_stream": "update the camera's firmware, or write its stream's address into {table}.source",
    "no_gstreamer": JETPACK,
    "no_argus": JETPACK,
    "undecodable": SOURCE,
    "unreadable": SOURCE,
    "empty": SOURCE,
    "size": "choose a size that is in the message, in the settings of the camera or in {table}.size",
}
OTHERWISE = f"{NETWORK}; one that the daemon has open must be freed: systemctl stop edged"


def check_camera(name: str, config: CameraConfig) -> CheckResult:
    """Checked in a thread of its own: a driver may hang."""
    results: list[CheckResult] = []
    timeout_s = config.open_timeout_s + config.stall_s + LOOK_S
    thread = threading.Thread(target=lambda: results.append(_look(name, config)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return results[0] if results else failed(f"camera {name}", f"no frame within {timeout_s:g} s", cure(name, ""))


def cure(name: str, code: str) -> str:
    """What to do about an error of this code."""
    return CURES.get(code, OTHERWISE).format(table=f"cameras.{name}")


def _look(name: str, config: CameraConfig) -> CheckResult:
    if config.source_kind == "rtsp":  # what it sends, not what `fps` leaves of it
        config = config.model_copy(update={"fps": 0.0})
    try:
        seen = look(import_module("edged.capture.make_camera").make_camera(name, config))
    except ImportError as error:
        return failed(f"camera {name}", str(error), "install edged again; in a clone: pip install '.[cpu]'")
    except (CameraLost, EndOfSource, ConfigError) as error:
        return failed(f"camera {name}", str(error), cure(name, error.code))
    violations = [f"{dotted(key)} {text}" for key, _, text in region_violations((), config, seen.size_wh)]
    if violations:
        do = f"correct [cameras.{name}], or the size that the camera sends"
        return failed(f"camera {name}", "\n".join([str(seen), *violations]), do)
    return CheckResult(check=f"camera {name}", ok=True, message=str(seen), do=seen.advice(config.fps))
