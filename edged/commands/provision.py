"""`edged provision`: make this machine the box that one file describes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.provisioning.bundle import Bundle

VERB = "provision"
NEXT_STEPS = "systemctl daemon-reload && systemctl restart edged, then edged doctor"
SUMMARY = "Make this machine the box that one file describes: its name, broker, credentials, cameras."

REPORT_TIMEOUT_S = 30.0  # for cameras and broker to be found


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a configuration, with passwords and certificates in it"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the root of a disk image (/)")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="write nothing; say whether it would do")
    task.add_argument(
        "--once",
        action="store_true",
        help="as from a USB stick: unless it was applied before, apply it, restart, and go back if that fails",
    )
    task.add_argument("--back", action="store_true", help="the settings that the daemon ran with before the last file")
    task.add_argument("--finish", action="store_true", help="bring to its end what a power cut broke off")


def run(args: argparse.Namespace) -> int:
    """Nothing is written unless all of it is right."""
    from edged.errors import ConfigError  # noqa: PLC0415
    from edged.provisioning.bundle import finish_pending, install, read_bundle, rollback  # noqa: PLC0415

    if args.finish:
        print("brought to its end" if finish_pending(args.root) else "nothing was broken off")
        return 0
    if args.back:
        there = rollback(args.root)
        print(f"as before; {NEXT_STEPS}" if there else "there are no settings from before")
        return int(not there)
    if args.file is None:
        raise ConfigError("edged provision: no FILE; want a configuration like configs/barn.toml, with passwords in it")
    box = read_bundle(args.file)
    if args.once:
        return _once(box, args.root)
    _check(box, args.root)
    if args.check:
        return 0
    for path in install(box, args.root):
        print(f"  wrote {path}")
    print(f"next: {NEXT_STEPS}; and wipe {args.file}")
    return 0


def _once(box: Bundle, root: Path) -> int:
    """What the daemon was running with is kept until it runs with the new, and put back if it does not."""
    from edged.provisioning.bundle import install, mark_applied, rollback, snapshot, was_applied  # noqa: PLC0415
    from edged.runtime.systemd import Service  # noqa: PLC0415

    if was_applied(box, root):
        print("this file was applied before; nothing is done. To apply it again, change it; a comment will do")
        return 0
    _check(box, root)
    service = Service()
    if service.running:
        snapshot(root)
    install(box, root)
    refusal = service.restart()
    mark_applied(box, root)
    if not refusal:
        print(f"applied; the daemon runs with it\n{service.wait_for_status(REPORT_TIMEOUT_S)}")
        return 0
    print(f"the daemon does not come up with it:\n{refusal}")
    if rollback(root):
        said = service.restart()
        print(f"the settings before are in place again{f', and fail too: {said}' if said else ''}")
    return 1


def _check(box: Bundle, root: Path) -> None:
    """Whether it is right in itself, with certificates that belong together; says what it makes. Raises ConfigError."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from edged.config_check import checked_config  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415
    from edged.mqtt.connection import tls_context  # noqa: PLC0415
    from edged.provisioning.bundle import bundle_layers  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        found = bundle_layers(box, root, Path(folder))
        config = checked_config(found)
        try:
            tls_context(config.mqtt.tls)
        except ConfigError as exc:
            said = str(exc).replace(f"{folder}/", "")
            raise ConfigError(f"{box.layer.where(('mqtt', 'tls'))} {said}") from exc
    cameras = ", ".join(config.enabled_cameras) or "none yet"
    print(f"{config.device.id}: broker {config.mqtt.host}:{config.mqtt.port}; cameras: {cameras}")
