"""`edged provision`: configure this machine from one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.commands.apply_settings import apply_once, check_bundle
from edged.commands.apply_stick import apply_stick
from edged.commands.argument_types import config_file
from edged.errors import ConfigError
from edged.provisioning.bundle import finish_pending, install, read_bundle, rollback
from edged.provisioning.panel_setup import TOKEN_FILE, link_own_files, with_panel_token

NEXT_STEPS = "systemctl daemon-reload && systemctl restart edged, then edged doctor"


def arguments(parser: argparse.ArgumentParser) -> None:
    config_file(parser, "a configuration, with passwords and certificates in it")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the root of a disk image (/)")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="check the file and write nothing")
    task.add_argument(
        "--once",
        action="store_true",
        help="unless it was applied before, apply it, restart, and roll back if that fails",
    )
    task.add_argument("--stick", metavar="DEVICE", help="as from a USB stick: its signed settings and its release")
    task.add_argument("--back", action="store_true", help="restore the settings from before the last file")
    task.add_argument("--finish", action="store_true", help="finish what a power cut interrupted")


def run(args: argparse.Namespace) -> int:
    """0: done; 1: nothing to restore, or the daemon does not start. Nothing is written unless the file is valid."""
    if args.finish:
        print("finished" if finish_pending(args.root) else "nothing to finish")
        return 0
    if args.back:
        restored = rollback(args.root)
        print(f"restored; {NEXT_STEPS}" if restored else "there are no previous settings")
        return int(not restored)
    if args.stick is not None:
        return apply_stick(args.stick, args.root)
    if args.config is None:
        raise ConfigError(
            "edged provision: no FILE; want a configuration with passwords in it, like configs/edged-provision.toml"
        )
    bundle, token = with_panel_token(read_bundle(args.config), args.root)
    if args.once:
        return apply_once(bundle, args.root)
    config = check_bundle(bundle, args.root)
    if args.check:
        return 0
    for path in install(bundle, args.root):
        print(f"  wrote {path}")
    link_own_files(args.root, config)
    if token is not None:
        print(f"the token of the technician's page: {token}\n  write it down; it is also in {TOKEN_FILE}, for root")
    print(f"next: {NEXT_STEPS}; then delete {args.config}")
    return 0
