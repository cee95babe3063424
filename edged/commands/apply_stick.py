"""What `edged provision --stick` does: settings and a release from a USB stick, and a report on it."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.commands.apply_settings import apply_once
from edged.commands.update import INCOMING, install_by_unit, stage
from edged.errors import ConfigError, EdgedError, NotTrusted, NotWritten
from edged.provisioning.authorise import authorise
from edged.provisioning.bundle import bundle_from
from edged.provisioning.panel_setup import with_panel_token
from edged.provisioning.signature import has_signers
from edged.provisioning.stick import (
    PUBLIC_KEY,
    RELEASE_FOLDER,
    REPORT,
    SETTINGS,
    StickFiles,
    mounted,
    read_stick,
    write_report,
)
from engines.errors import EngineError

MOUNT = Path("/run/edged-stick/mounted")


def apply_stick(device: str, root: Path, at: Path = MOUNT) -> int:
    """0: done, or a stick of something else; 1, 2: refused or failed. What is printed is also left on the stick."""
    told = StringIO()
    with TemporaryDirectory(dir=INCOMING if INCOMING.is_dir() else None) as folder:
        try:
            with mounted(device, at):
                found = _read(at)
                staged = _stage(at, found, Path(folder), told)
        except NotWritten as exc:
            print(exc)
            return 0
        with redirect_stdout(told):
            code = settings_code(found, root)
            if staged:
                failed, said = install_by_unit(Path(folder))
                print(said, end="")
                code = max(code, failed)
    text = told.getvalue()
    if text:
        print(f"{device}:\n{text}", end="")
        _report(device, at, text)
    return code


def settings_code(found: StickFiles | NotTrusted, root: Path) -> int:
    """0: applied, or there are no settings; 1: refused, or the daemon does not start; 2: not valid. Prints why."""
    if isinstance(found, NotTrusted):
        print(found)
        return 1
    print("".join(f"{line}\n" for line in found.nearly), end="")
    misnamed = int(bool(found.nearly))
    return misnamed if found.settings is None else max(misnamed, _apply(found, found.settings, root))


def _apply(found: StickFiles, settings: bytes, root: Path) -> int:
    try:
        keys = authorise(found, root)
        bundle, _ = with_panel_token(bundle_from(SETTINGS, settings), root)
        code = apply_once(bundle, root, keys)
    except ConfigError as exc:
        print(exc)
        return 2
    except EdgedError as exc:
        print(exc)
        return 1
    if not has_signers(root):
        print(f"this device has no key: it takes no further stick. Its key would be {PUBLIC_KEY} on the first one")
    return code


def _read(at: Path) -> StickFiles | NotTrusted:
    try:
        return read_stick(at)
    except NotTrusted as refused:
        return refused


def _stage(at: Path, found: StickFiles | NotTrusted, folder: Path, told: StringIO) -> bool:
    """Whether a newer signed release is on the stick; it is then in `folder`, and the stick may go."""
    if isinstance(found, NotTrusted) or not found.has_release:
        return False
    with redirect_stdout(told):
        try:
            return stage(str(at / RELEASE_FOLDER), folder)
        except (EdgedError, EngineError) as exc:
            print(str(exc).replace(f"{at}/", ""))
            return False


def _report(device: str, at: Path, text: str) -> None:
    heading = f"{datetime.now(timezone.utc):%a %b %d %H:%M:%S UTC %Y}\nedged {Path(sys.prefix).resolve().name}\n"
    try:
        with mounted(device, at, writable=True):
            write_report(at, heading + text)
    except NotWritten as exc:
        print(exc)
    else:
        print(f"written to the stick: {REPORT}")
