"""`edged update`: install the newest signed release from a folder, a stick or a mirror, and go back if it fails."""

from __future__ import annotations

import argparse
import os
import subprocess
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from edged import __version__
from edged.commands.progress import download_bars
from edged.config.load import load
from edged.errors import NotTrusted, NotWritten
from edged.provisioning.release import find_release, obtain, package_version, version_key
from edged.provisioning.signature import SIGNERS, signers
from engines.store.disk import sha256

TOP = Path("/opt/edged")
INCOMING = TOP / "incoming"  # on the disk of the releases; made by the installer
REFUSED = TOP / "refused"  # sha256 of packages that did not start here, which the timer leaves alone
NO_PACKAGE = ("", "not-installed", "config-files")  # what dpkg says of a package that is not there
INSTALL_LIMIT_S = 1800.0  # with pycuda built on the device
STOP_LIMIT_S = 120.0  # for systemd to end a unit: its TimeoutStopSec is 90 s
INSTALL_UNIT = "edged-update-install"
# Of the unit that installs, which may write to the system; those that fetch may not.
SANDBOX = """
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="?", help="a folder, or an address that begins with https:// (default: update.source)"
    )
    parser.add_argument("--check", action="store_true", help="say what is there, and install nothing")
    parser.add_argument("--allow-older", action="store_true", help="also a version that is not newer than this one")
    parser.add_argument(
        "--desired", type=Path, metavar="FILE", help="the version that this signed message of the fleet wants"
    )
    parser.add_argument(
        "--scheduled",
        action="store_true",
        help="as the timer does: nothing without update.source, and not again a release that failed",
    )


def run(args: argparse.Namespace) -> int:
    """0: installed, or nothing newer; 1: refused, or the release does not start and the old one is in use."""
    if args.desired is not None:
        _require_root()
        return int(import_module("edged.commands.apply_desired").apply_desired(args.desired))
    config = load(None)
    if args.scheduled and config.fleet.group is not None:
        print(f"fleet.group = {config.fleet.group}: the fleet says which version is wanted, and when")
        return 0
    source = args.source or config.update.source
    if source is None:
        print("update.source is not set: nothing is looked for")
        return 0 if args.scheduled else 1
    if not args.check:
        _require_root()
    with TemporaryDirectory(dir=None if args.check else INCOMING) as folder:
        staged = stage(
            source, Path(folder), check=args.check, allow_older=args.allow_older, skip_refused=args.scheduled
        )
        if not staged:
            return 0
        if not args.scheduled:
            return _install(Path(folder))
        code, said = install_by_unit(Path(folder))
        print(said, end="")
        return code


def _require_root() -> None:
    if os.geteuid() != 0:
        raise NotWritten("only root can install; run: sudo edged update")


def install_by_unit(folder: Path, *, allow_older: bool = False) -> tuple[int, str]:
    """0 or 1, and the output, of `edged update FOLDER` in a unit of its own: the caller may not write to the system.

    systemd ends the unit at its limit, so that the folder is not removed beneath it.
    """
    command = ["systemd-run", "--wait", "--pipe", "--quiet", "--collect", f"--unit={INSTALL_UNIT}"]
    properties = [*SANDBOX.strip().splitlines(), f"RuntimeMaxSec={INSTALL_LIMIT_S:g}"]
    command += [f"--property={one}" for one in properties]
    command += ["--", f"{TOP}/current/bin/edged", "update", str(folder), *(["--allow-older"] if allow_older else [])]
    limit_s = INSTALL_LIMIT_S + STOP_LIMIT_S
    try:
        done = subprocess.run(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        return (
            1,
            f"not installed within {limit_s:g} s; see journalctl -u {INSTALL_UNIT}, and edged-install --rollback\n",
        )
    return int(done.returncode != 0), done.stdout


def stage(
    source: str,
    folder: Path,
    *,
    check: bool = False,
    allow_older: bool = False,
    skip_refused: bool = True,
    wanted: str | None = None,
) -> bool:
    """Whether the newest release of the source, or the `wanted` one, is to be installed; `folder` has then its package.

    Says what was found. Raises `NotTrusted`, `NotWritten`, and `EngineError` where the source does not answer.
    """
    keys = signers(Path("/"))
    if not keys:
        raise NotTrusted(
            f"this device has no key (/{SIGNERS}): no release can be checked, and none is installed; "
            "run as root: edged trust KEY.pub"
        )
    release = find_release(source, _output("dpkg", "--print-architecture"), keys, folder, wanted)
    if version_key(release.version) <= version_key(package_version(__version__)) and not allow_older:
        print(f"{release.version} is the newest there, {__version__} is in use: nothing to do")
        return False
    if skip_refused and REFUSED.exists() and release.sha256 in REFUSED.read_text().split():
        print(f"{release.version} did not start here before: left alone; by hand, as root: edged update")
        return False
    print(f"{release.version}, signed by {release.key}", flush=True)
    if not check:
        with download_bars() as bar:
            obtain(source, release, folder, bar(release.file))
    return not check


def _install(folder: Path) -> int:
    """Beside the present release, which the installer restores where the new one does not start."""
    (package,) = folder.glob("*.deb")
    unpacked = folder / "unpacked"
    _run("dpkg-deb", "--extract", str(package), str(unpacked))
    if _run(str(unpacked / "usr/lib/edged/install.sh")) != 0:
        with REFUSED.open("a") as file:
            file.write(f"{sha256(package)}\n")
        print(f"{package.name} is not installed: see above; edged {__version__} is in use as before")
        return 1
    if _output("dpkg-query", "--show", "--showformat=${db:Status-Status}", "edged") not in NO_PACKAGE:
        _run("dpkg", "--install", str(package))  # the installer finds its release in use, and dpkg knows the version
    print(f"{package.name} is in use; back: edged-install --rollback")
    return 0


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except FileNotFoundError as exc:
        raise NotWritten(
            f"{command[0]} is missing: updates need Debian or Ubuntu; install by deploy/install.sh"
        ) from exc
    return done.stdout.strip()


def _run(*command: str) -> int:
    return subprocess.run(command, check=False, timeout=INSTALL_LIMIT_S, cwd="/").returncode  # noqa: S603
