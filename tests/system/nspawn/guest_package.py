"""Runs under a systemd of its own: the package from installation to purge, written down as JSON.

The assertions are in test_package.py, outside.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from tests.support import certs
from tests.system.nspawn.guest_service import (
    BOX,
    ETC,
    OUT,
    REPOSITORY,
    broker,
    journal,
    sh,
    shown,
    systemctl,
    until,
)

TOP = Path("/opt/edged")
DATA = (ETC, Path("/var/lib/edged"), Path("/var/cache/edged"))
ENGINE = Path("/var/lib/edged/models/engines/rtmpose/abc/engine.plan")
PLACES = (
    "/etc/systemd/system",
    "/etc/udev/rules.d",
    "/etc/sysusers.d",
    "/etc/tmpfiles.d",
    "/usr/local",
    "/usr/lib/edged",
    "/var/lib/systemd/timers",
)
STICK = Path("/opt/stick/edged-provision.toml")
KEY = OUT / "site"
DEVICE = os.environ.get("STICK_DEVICE", "")  # a block device that this machine sees
INSTALL_S = 480.0


def dpkg(*words: str | Path) -> dict[str, Any]:
    begun_s = time.monotonic()
    code, said = sh("dpkg", *words, limit_s=INSTALL_S)
    return {"code": code, "said": said.splitlines(), "took_s": time.monotonic() - begun_s, **standing()}


def standing() -> dict[str, Any]:
    link = TOP / "current"
    return {
        "version": sh("/usr/local/bin/edged", "--version")[1].strip() if link.exists() else None,
        "active": shown("ActiveState"),
        "status": shown("StatusText"),
        "releases": sorted(path.name.split("-")[0] for path in TOP.glob("releases/*")),
        "previous": (TOP / "previous").resolve().name.split("-")[0] if (TOP / "previous").exists() else None,
    }


def ours() -> list[str]:
    """Files of ours anywhere but where data is."""
    found = sorted(str(path) for place in PLACES for path in Path(place).rglob("*edged*"))
    return [path for path in found if not path.endswith("edged-test.service")]


def data() -> dict[str, str]:
    """What must not be lost, by path; not what the daemon itself goes on writing."""
    files = [*ETC.rglob("*"), ENGINE, Path("/etc/systemd/system/edged.service.d/50-credentials.conf")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files) if path.is_file()}


def online() -> str:
    return str(
        until(lambda: (said := shown("StatusText")).startswith("1 of 2") and "broker connected" in said and said)
    )


def installed() -> dict[str, Any]:
    """On a box that nobody has set up."""
    done = dpkg("--install", OUT / "first.deb")
    started = systemctl("start", "edged")
    enabled = sh("systemctl", "is-enabled", "edged.service", "edged-usb-reset.path")[1].split()
    return {**done, "enabled": enabled, "started": started, "result": shown("ConditionResult"), "files": ours()}


def provisioned() -> dict[str, Any]:
    """From a stick: well, again, with a mistake, and with what only the daemon refuses."""
    shutil.copy(OUT / "clip.mp4", "/var/lib/edged")
    STICK.parent.mkdir()
    said = []
    for text in (BOX, BOX, BOX.replace("port = ", "ports = "), f"{BOX}\n[compute]\nbackend = 'cuda'\n"):
        STICK.write_text(text)
        said.append(sh("/usr/local/bin/edged", "provision", "--once", STICK))
    return {"said": said, **standing(), "back": "cuda" not in (ETC / "conf.d/50-box.toml").read_text(), "how": online()}


def plugged(text: str, *, signed: bool, public: bool = False) -> dict[str, Any]:
    """What comes of a stick with that file, made as an integrator does it."""
    tree = Path("/opt/tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    (tree / "edged-provision.toml").write_text(text)
    if signed:
        sh("sh", REPOSITORY / "deploy/sign", "stick", KEY, tree)
    if not public:
        (tree / "edged-provision.pub").unlink(missing_ok=True)
    return plugged_in(tree)


def plugged_in(tree: Path) -> dict[str, Any]:
    """A stick with these files, and its unit: the report on it, and the unit's result."""
    image = Path(DEVICE)
    made = sh("mkfs.ext4", "-q", "-F", "-d", tree, image)
    name = image.name
    systemctl("reset-failed", f"edged-stick@{name}")
    code = sh("systemctl", "start", f"edged-stick@{name}", limit_s=INSTALL_S)[0]
    look = Path("/opt/look")
    look.mkdir(exist_ok=True)
    sh("mount", "-t", "ext4", "-o", "ro", image, look)
    report = look / "edged-provision.report.txt"
    lines = report.read_text().splitlines()[2:] if report.exists() else []
    sh("umount", look)
    return {"made": made, "code": code, "report": lines, "journal": journal(f"--unit=edged-stick@{name}")[-20:]}


def sticks() -> dict[str, Any]:
    """A new box: the first stick brings the key; then an unsigned one, and one that is signed and changed."""
    if not DEVICE:
        return {"skipped": "no loop device"}
    shutil.copy(OUT / "clip.mp4", "/var/lib/edged")
    changed = BOX.replace("reconnect_max_s = 1", "reconnect_max_s = 2")
    first = plugged(f"# by stick\n{BOX}", signed=True, public=True)
    settings = (ETC / "conf.d/50-box.toml").read_text()
    unsigned = plugged(changed, signed=False)
    same = settings == (ETC / "conf.d/50-box.toml").read_text()
    return {"first": first, "unsigned": unsigned, "same": same, "signed": plugged(changed, signed=True)}


def updated() -> dict[str, Any]:
    """From a folder, a mirror and a stick: a release that is not signed, one that does not start, one that does."""
    edged, before = "/usr/local/bin/edged", data()
    trusted = sh(edged, "trust", KEY.with_suffix(".pub"))
    unsigned = sh(edged, "update", OUT / "unsigned", limit_s=INSTALL_S)
    results = {"trusted": trusted, "unsigned": unsigned, **mirrored(), "stick": update_by_stick()}
    package = sh("dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", "edged")[1]
    back = {"code": sh("/usr/local/sbin/edged-install", "--rollback", limit_s=INSTALL_S)[0], **standing()}
    timer = sh("systemctl", "is-active", "edged-update.timer")[1].strip()
    kept = {path: digest for path, digest in data().items() if path in before} == before
    return {**results, "package": package, "back": back, "timer": timer, "kept": kept}


def mirrored() -> dict[str, Any]:
    """What the timer starts, with a mirror over HTTPS whose authority is installed after the first try."""
    folder, source = Path("/opt/mirror"), ETC / "conf.d/91-update.toml"
    folder.mkdir()
    certs.new_ca(folder)
    certs.sign("mirror", folder, "subjectAltName=IP:127.0.0.1")
    served = folder / "served"
    served.symlink_to(OUT / "broken")
    with certs.https_server(served, folder) as address:
        source.write_text(f'[update]\nsource = "{address}"\n')
        stranger = scheduled()
        shutil.copy(folder / "ca.pem", "/usr/local/share/ca-certificates/mirror.crt")
        sh("update-ca-certificates")
        broken, again = scheduled(), scheduled()
        served.unlink()
        served.symlink_to(OUT / "release")
        good, nothing = scheduled(), scheduled()
    source.unlink()
    back = sh("/usr/local/sbin/edged-install", "--rollback", limit_s=INSTALL_S)[0]
    return {
        "stranger": stranger,
        "broken": broken,
        "again": again,
        "good": good,
        "nothing": nothing,
        "back_from_mirror": back,
    }


def scheduled() -> dict[str, Any]:
    since = len(journal("--unit=edged-update"))
    code = sh("systemctl", "start", "edged-update", limit_s=INSTALL_S)[0]
    how = online()
    return {"code": code, "said": journal("--unit=edged-update")[since:], **standing(), "how": how}


def update_by_stick() -> dict[str, Any]:
    """A stick that has only a signed release on it."""
    if not DEVICE:
        return {"skipped": "no loop device"}
    tree = Path("/opt/tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(OUT / "release", tree / "edged-release")
    done = plugged_in(tree)
    return {**done, **standing(), "how": online()}


def upgraded() -> dict[str, Any]:
    ENGINE.parent.mkdir(parents=True)
    ENGINE.write_bytes(b"took minutes to build")
    (ETC / "conf.d/90-local.toml").write_text("publish.health_interval_s = 7\n")
    before, pid = data(), shown("MainPID")
    done = dpkg("--install", OUT / "second.deb")
    return {**done, "kept": before == data(), "another": shown("MainPID") != pid, "how": online(), "data": list(before)}


def again() -> dict[str, Any]:
    """The installer once more by hand, as after an update of the system."""
    begun_s, pid = time.monotonic(), shown("MainPID")
    code, said = sh("/usr/lib/edged/install.sh")
    explained = sh("/usr/lib/edged/install.sh", "--explain")[1]
    took_s = time.monotonic() - begun_s
    return {"code": code, "said": said, "explained": explained, "took_s": took_s, "another": pid != shown("MainPID")}


def rolled_back() -> dict[str, Any]:
    before = data()
    code, said = sh("/usr/local/sbin/edged-install", "--rollback")
    return {"code": code, "said": said.splitlines(), **standing(), "kept": before == data(), "how": online()}


def broken() -> dict[str, Any]:
    """A version whose daemon does not start."""
    before = data()
    return {**dpkg("--install", OUT / "third.deb"), "kept": before == data(), "how": online()}


def removed() -> dict[str, Any]:
    before = data()
    done = dpkg("--remove", "edged")
    return {**done, "kept": before == data(), "files": ours(), "top": TOP.exists()}


def purged() -> dict[str, Any]:
    done = dpkg("--purge", "edged")
    left = [str(path) for path in DATA if path.exists()]
    return {**done, "left": left, "files": ours(), "user": sh("getent", "passwd", "edged")[0] == 0}


def main() -> None:
    os.environ["SYSTEMD_COLORS"] = "0"
    del os.environ["PYTHONPATH"]  # it is for this program, not for those it starts
    found: dict[str, Any] = {}
    broker()
    try:
        for part in (installed, sticks, provisioned, upgraded, again, rolled_back, updated, broken, removed, purged):
            found[part.__name__] = part()
            (OUT / "found.json").write_text(json.dumps(found, indent=1))
    finally:
        found["journal"] = journal("--unit=edged")
        (OUT / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
