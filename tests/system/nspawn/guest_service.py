"""Runs under a systemd of its own: the service from installation to its worst day, written down as JSON.

The assertions are in test_service.py, outside.
"""

from __future__ import annotations

import grp
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edged.provisioning.desired import Desired, seal

REPOSITORY = Path(__file__).parents[3]
UNITS = REPOSITORY / "deploy" / "systemd"
ARCHIVE = REPOSITORY / "deploy" / "archive"
SYSTEM = Path("/etc/systemd/system")
OUT = Path("/mnt/out")
RUN = Path("/run/edged")
PASSWORD = "hunter2"
ETC = Path("/etc/edged")
PORT = 18830
LIMIT_S = 60.0
FAILED_TRIES = 6  # systemd's own limit is five starts in ten seconds

BOX = f"""
[device]
id = "box"
[mqtt]
port = {PORT}
username = "box"
password = "{PASSWORD}"
reconnect_max_s = 1
[cameras.barn]
source = "/var/lib/edged/clip.mp4"
loop = true
[cameras.yard]
source = "rtsp://127.0.0.1:9/gone"
retry_max_s = 1
"""
# Where the loop hangs for as long as a file says so, as it would in a driver.
WEDGE = """
import os, time
from edged.pipeline import Pipeline
run = Pipeline.run
def hang(self, frame):
    while os.path.exists("/run/edged/hang"):
        time.sleep(0.1)
    return run(self, frame)
Pipeline.run = hang
"""


def until(true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    end_s = time.monotonic() + limit_s
    while not (found := true()):
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.05)
    return found


def sh(*command: str | Path, limit_s: float = LIMIT_S) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    return done.returncode, done.stdout + done.stderr


def systemctl(*words: str) -> int:
    return sh("systemctl", *words)[0]


def shown(key: str, unit: str = "edged") -> str:
    return sh("systemctl", "show", "--property", key, "--value", unit)[1].strip()


def journal(*words: str) -> list[str]:
    return sh("journalctl", "--no-pager", "--output=cat", *words)[1].splitlines()


def logged(text: str) -> bool:
    return any(text in entry for entry in journal("--unit=edged"))


def running() -> bool:
    return shown("ActiveState") == "active"


def again(pid: str) -> bool:
    return running() and shown("MainPID") not in ("0", pid)


def open_to_all(*folders: Path) -> None:
    """Where the test's interpreter and repository lie may be root's alone."""
    for folder in {parent for path in folders for parent in (path, *path.parents)}:
        folder.chmod(folder.stat().st_mode | 0o005)


def install() -> None:
    """As an installer does it, with a watchdog that does not take half a minute."""
    open_to_all(REPOSITORY, Path(sys.prefix), Path(sys.base_prefix))
    Path("/opt/edged/incoming").mkdir(parents=True)
    Path("/opt/edged/current").symlink_to(sys.prefix)
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.timer"), *UNITS.glob("*.path")]:
        shutil.copy(unit, SYSTEM)
    drop(
        "edged.service",
        "[Service]\nProtectHome=read-only\nWatchdogSec=6\nRestartSec=0.2\nEnvironment=PYTHONPATH=/opt/wedge\n",
    )
    for path in UNITS.glob("*.path"):
        drop(f"{path.stem}.service", "[Service]\nRestartSec=0.2\n")
    drop("edged-revive.timer", "[Timer]\nOnActiveSec=\nOnActiveSec=3\nAccuracySec=100ms\n")
    Path("/opt/wedge").mkdir()
    Path("/opt/wedge/sitecustomize.py").write_text(WEDGE)
    (SYSTEM / "nvargus-daemon.service").write_text("[Service]\nExecStart=/bin/sleep infinity\n")
    sh("systemd-sysusers", UNITS / "edged.sysusers")
    sh("systemd-tmpfiles", "--create", UNITS / "edged.tmpfiles")


def drop(unit: str, text: str) -> None:
    folder = SYSTEM / f"{unit}.d"
    folder.mkdir(exist_ok=True)
    (folder / "10-test.conf").write_text(text)


def provision() -> None:
    shutil.copy(OUT / "clip.mp4", "/var/lib/edged")
    Path("/opt/box.toml").write_text(BOX)
    subprocess.run(["/opt/edged/current/bin/edged", "provision", "/opt/box.toml"], check=True, timeout=LIMIT_S)
    systemctl("daemon-reload")


def broker() -> None:
    """It lets nobody in without a password."""
    folder = Path("/opt/broker")
    folder.mkdir()
    sh("mosquitto_passwd", "-b", "-c", folder / "passwords", "box", PASSWORD)
    lines = [f"listener {PORT} 127.0.0.1", "user root", f"password_file {folder}/passwords", "allow_anonymous false"]
    (folder / "conf").write_text("\n".join(lines))
    sh(
        "systemd-run",
        "--quiet",
        "--unit=broker",
        shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "",
        "-c",
        folder / "conf",
    )


def groups(pid: str) -> list[str]:
    line = re.search(r"^Groups:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return sorted(grp.getgrgid(int(number)).gr_name for number in line[1].split()) if line else []


def begun() -> dict[str, Any]:
    code = systemctl("start", "edged")
    until(lambda: shown("StatusText").startswith("1 of 2 cameras online"))
    until(lambda: shown("StatusText").endswith("broker connected"))
    pid = shown("MainPID")
    return {
        "code": code,
        "status": shown("StatusText"),
        "user": Path(f"/proc/{pid}").owner(),
        "groups": groups(pid),
        "of_yard": until(lambda: journal("EDGED_CAMERA=yard")),
        "credentials": [
            oct(path.stat().st_mode & 0o777) for path in (ETC / "credentials", ETC / "credentials/mqtt.password")
        ],
        "password_in_settings": PASSWORD in (ETC / "conf.d/50-box.toml").read_text(),
    }


def settings(text: str) -> None:
    (ETC / "conf.d/90-local.toml").write_text(text)


def reloaded() -> dict[str, Any]:
    pid = shown("MainPID")
    settings("publish.health_interval_s = 7\n")
    good = systemctl("reload", "edged")
    until(lambda: logged("configuration: changed publish.health_interval_s"))
    settings("publish.health_interval_s = -7\n")
    bad, _ = sh("systemctl", "reload", "edged")
    unasked = systemctl("kill", "--signal=HUP", "--kill-who=main", "edged")
    until(lambda: logged("the one before stays in effect"))
    settings("")
    return {
        "good": good,
        "bad": bad,
        "unasked": unasked,
        "same": shown("MainPID") == pid,
    }


def another_password() -> dict[str, Any]:
    """Changed at the broker and in the credential, which systemd must hand to the process that runs."""
    pid, password = shown("MainPID"), f"another {PASSWORD}"
    sh("mosquitto_passwd", "-b", "/opt/broker/passwords", "box", password)
    systemctl("kill", "--signal=HUP", "broker")
    (ETC / "credentials/mqtt.password").write_text(password)
    code = systemctl("reload", "edged")
    until(lambda: logged("changed mqtt.password"))
    before = logins()
    systemctl("restart", "broker")
    until(lambda: logins() > before)
    return {"code": code, "same": shown("MainPID") == pid}


def logins() -> int:
    return sum(": connected " in entry for entry in journal("--unit=edged"))


def replaced() -> dict[str, Any]:
    """A change that takes another daemon in the same process."""
    pid = shown("MainPID")
    settings('device.state_dir = "/var/lib/edged/elsewhere"\n')
    systemctl("reload", "edged")
    until(lambda: logged("restarted everything"))
    until(lambda: running() and shown("StatusText").startswith("1 of 2"))
    return {"same": shown("MainPID") == pid, "restarts": shown("NRestarts")}


def killed() -> dict[str, Any]:
    pid = shown("MainPID")
    systemctl("kill", "--signal=KILL", "--kill-who=main", "edged")
    until(lambda: again(pid))
    return {"restarts": shown("NRestarts")}


def wedged() -> dict[str, Any]:
    """The loop hangs while every other thread goes on; then the process has been quiet for longer, and lived."""
    until(lambda: shown("StatusText").startswith("1 of 2"))
    pid = shown("MainPID")
    (RUN / "hang").touch()
    until(lambda: again(pid))
    return {"restarts": shown("NRestarts")}


def without_cameras() -> dict[str, Any]:
    """All of them lost, for two watchdog times."""
    settings("cameras.barn.enabled = false\n")
    systemctl("reload", "edged")
    until(lambda: shown("StatusText").startswith("0 of 1 cameras online"))
    pid = shown("MainPID")
    time.sleep(13)
    return {"same": shown("MainPID") == pid, "status": shown("StatusText")}


def given_up() -> dict[str, Any]:
    """A configuration it cannot start with, twice; then a right one, which nobody but the timer starts."""
    settings("cameras = 3\n")
    systemctl("restart", "edged")
    until(lambda: shown("ActiveState") == "failed")
    first = {"code": shown("ExecMainStatus"), "rests": shown("ActiveState", "edged-revive.timer")}
    until(lambda: len([entry for entry in journal("--unit=edged-revive") if "Finished" in entry]) > 0)
    until(lambda: shown("ActiveState") == "failed")
    settings("")
    until(running)
    return {**first, "tries": len([entry for entry in journal("--unit=edged-revive") if "Finished" in entry])}


def argus() -> dict[str, Any]:
    for unit in ("nvargus-daemon.service", "edged-argus-reset.path"):
        systemctl("start", unit)
    pid = shown("MainPID", "nvargus-daemon")
    sh("setpriv", "--reuid=edged", "--regid=edged", "--clear-groups", "touch", RUN / "reset-argus")
    until(lambda: shown("MainPID", "nvargus-daemon") not in ("0", pid))
    return {"asked_still": (RUN / "reset-argus").exists()}


def rebooted() -> dict[str, Any]:
    """A reboot is asked for, where none can be had: what was tried, and how long the box had been up."""
    sh("systemctl", "mask", "--runtime", "reboot.target")
    systemctl("start", "edged-box-reset.path")
    sh("setpriv", "--reuid=edged", "--regid=edged", "--clear-groups", "touch", RUN / "reset-box")
    until(lambda: not (RUN / "reset-box").exists())
    until(lambda: shown("ActiveState", "edged-box-reset.service") in {"inactive", "failed"})
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    return {"up_s": up_s, "tried": shown("Result", "edged-box-reset.service") != "success"}


def fleet_unit() -> dict[str, Any]:
    """A signed wish of the fleet, handed over by the daemon's user. Many tries fail, then one is killed."""
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/opt/site.key")
    trusted = sh("/opt/edged/current/bin/edged", "trust", "/opt/site.key.pub")[0]
    settings('fleet.group = "barns"\n')
    wish = seal(Desired(group="barns", number=1, version="9.0"), Path("/opt/site.key"))
    request, hold, result = RUN / "desired.json", Path("/opt/hold"), Path("/var/lib/edged-fleet/result.json")
    tries = Path("/opt/tries")
    hold.touch()
    tries.touch()
    drop(
        "edged-fleet.service",
        f"[Service]\nProtectHome=read-only\nRestartSec=0.1\n"
        f"ExecStartPre=+sh -c 'echo >> {tries}; [ $(wc -l < {tries}) -gt {FAILED_TRIES} ]'\n"
        f"ExecStartPre=sh -c 'while [ -e {hold} ]; do sleep 0.05; done'\n",
    )
    systemctl("daemon-reload")
    systemctl("start", "edged-fleet.path")
    Path("/opt/wish").write_bytes(wish)
    sh("setpriv", "--reuid=edged", "--regid=edged", "--clear-groups", "cp", "/opt/wish", request)
    until(lambda: len(tries.read_text()) > FAILED_TRIES)
    pid = until(lambda: shown("ControlPID", "edged-fleet").strip("0"))
    systemctl("kill", "--signal=KILL", "edged-fleet")
    until(lambda: shown("ControlPID", "edged-fleet") not in ("0", pid))
    hold.unlink()
    until(result.exists)
    until(lambda: shown("ActiveState", "edged-fleet") == "inactive")  # it has failed, and nothing is asked for any more
    waits = shown("ActiveState", "edged-fleet.path")
    told = sh("setpriv", "--reuid=edged", "--regid=edged", "--clear-groups", "cat", result)[1]
    stopped = systemctl("stop", "edged-fleet.path", "edged-fleet.service")
    rests = shown("ActiveState", "edged-fleet.path")
    codes = {"trusted": trusted, "stopped": stopped}
    return {**codes, "waits": waits, "rests": rests, "asked_still": request.exists(), "told": json.loads(told)}


def archive_unit() -> dict[str, Any]:
    """A worker without its cluster, for which it waits: started, killed, stopped."""
    home, etc, unit = Path("/opt/edged-archive"), Path("/etc/edged-archive"), "edged-archive@1"
    for folder in (home, etc):
        folder.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (home / part).symlink_to(Path(sys.prefix) / part)
    shutil.copy(ARCHIVE / "archive.py", home)
    shutil.copy(ARCHIVE / "edged-archive@.service", SYSTEM)
    (etc / "password").write_text(PASSWORD)
    (etc / "password").chmod(0o600)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", etc / "ca.pem")
    drop(
        "edged-archive@.service",
        "[Service]\nProtectHome=read-only\nEnvironment=NATS=tls://127.0.0.1:9\nRestartSec=0.2\n",
    )
    systemctl("daemon-reload")
    systemctl("start", unit)

    def tries() -> int:
        return len([entry for entry in journal(f"--unit={unit}") if "Connect call failed" in entry])

    until(tries)
    before = tries()
    systemctl("kill", "--signal=KILL", unit)
    until(lambda: shown("NRestarts", unit) == "1" and tries() > before + 1)
    begun_s = time.monotonic()
    code = systemctl("stop", unit)
    took_s, known = time.monotonic() - begun_s, {"result": shown("Result", unit), "state": shown("ActiveState", unit)}
    return {"code": code, "took_s": took_s, **known}


def stopped() -> dict[str, Any]:
    begun_s = time.monotonic()
    code = systemctl("stop", "edged")
    took_s = time.monotonic() - begun_s
    return {"code": code, "took_s": took_s, "result": shown("Result"), "rest": RUN.exists()}


def main() -> None:
    os.environ["SYSTEMD_COLORS"] = "0"
    found: dict[str, Any] = {}
    install()
    broker()
    provision()
    try:
        for part in (
            *(begun, reloaded, another_password, replaced, killed, wedged, without_cameras, argus, rebooted),
            *(fleet_unit, archive_unit, stopped, given_up),
        ):
            found[part.__name__] = part()
    finally:
        found["journal"] = journal("--unit=edged", "--unit=edged-fleet", "--unit=edged-archive@1")
        (OUT / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
