"""`edged provision`: configure this machine from one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.commands.argument_types import config_file
from edged.config.tree import Config
from edged.config_check import check_layers, remark_lines, valid_config
from edged.errors import ConfigError
from edged.mqtt.tls import tls_context
from edged.provisioning.bundle import (
    Bundle,
    bundle_layers,
    finish_pending,
    install,
    mark_applied,
    read_bundle,
    rollback,
    snapshot,
    was_applied,
)
from edged.provisioning.panel_setup import TOKEN_FILE, link_drawings, with_panel_token
from edged.runtime import systemd

NEXT_STEPS = "systemctl daemon-reload && systemctl restart edged, then edged doctor"
REPORT_TIMEOUT_S = 30.0  # until cameras and broker are connected


def arguments(parser: argparse.ArgumentParser) -> None:
    config_file(parser, "a configuration, with passwords and certificates in it")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the root of a disk image (/)")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="check the file and write nothing")
    task.add_argument(
        "--once",
        action="store_true",
        help="as from a USB stick: unless it was applied before, apply it, restart, and roll back if that fails",
    )
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
    if args.config is None:
        raise ConfigError(
            "edged provision: no FILE; want a configuration with passwords in it, like configs/edged-provision.toml"
        )
    bundle, token = with_panel_token(read_bundle(args.config), args.root)
    if args.once:
        return _apply_once(bundle, args.root)
    config = _check(bundle, args.root)
    if args.check:
        return 0
    for path in install(bundle, args.root):
        print(f"  wrote {path}")
    if config.panel.enabled:
        link_drawings(args.root, config.device.state_dir)
    if token is not None:
        print(f"the token of the technician's page: {token}\n  write it down; it is also in {TOKEN_FILE}, for root")
    print(f"next: {NEXT_STEPS}; then delete {args.config}")
    return 0


def _apply_once(bundle: Bundle, root: Path) -> int:
    """Install, restart the daemon, and restore the previous settings if it does not start."""
    if was_applied(bundle, root):
        print("this file was applied before; nothing is done. To apply it again, change it, for example a comment")
        return 0
    config = _check(bundle, root)
    service = systemd.Service()
    if service.running:
        snapshot(root)
    install(bundle, root)
    if config.panel.enabled:
        link_drawings(root, config.device.state_dir)
    failure = service.restart()
    mark_applied(bundle, root)
    if not failure:
        print(f"applied; the daemon runs with it\n{service.wait_for_status(REPORT_TIMEOUT_S)}")
        return 0
    print(f"the daemon does not start with it:\n{failure}")
    if rollback(root):
        failure = service.restart()
        print(f"the previous settings are restored{f', and fail too: {failure}' if failure else ''}")
    return 1


def _check(bundle: Bundle, root: Path) -> Config:
    """The configuration, checked with its certificates, after a printed summary. Raises ConfigError."""
    with TemporaryDirectory() as folder:
        layers = bundle_layers(bundle, root, Path(folder))
        checked = check_layers(layers)
        config = valid_config(checked)
        try:
            tls_context(config.mqtt.tls)
        except ConfigError as exc:
            message = str(exc).replace(f"{folder}/", "")
            raise ConfigError(f"{bundle.layer.where(('mqtt', 'tls'))} {message}") from exc
    cameras = ", ".join(config.enabled_cameras) or "none yet"
    print(f"{config.device.id}: broker {config.mqtt.host}:{config.mqtt.port}; cameras: {cameras}")
    print("".join(f"{remark}\n" for remark in remark_lines(checked.remarks)), end="")
    return config
