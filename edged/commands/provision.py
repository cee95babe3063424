"""`edged provision`: make this machine the box that one file describes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.box.provision import Box
    from edged.config import Config

VERB = "provision"
SUMMARY = "Make this machine the box that one file describes: its name, broker, credentials, cameras."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a configuration, with passwords and certificates in it"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the root of a disk image (/)")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether it would do")


def run(args: argparse.Namespace) -> int:
    """Nothing is written unless all of it is right."""
    from edged.box.provision import read, write  # noqa: PLC0415

    box = read(args.file)
    config = _tried(box, args.root)
    cameras = ", ".join(config.in_use) or "none yet"
    print(f"{config.device.id}: broker {config.mqtt.host}:{config.mqtt.port}; cameras: {cameras}")
    if args.check:
        return 0
    for path in write(box, args.root):
        print(f"  wrote {path}")
    print(f"next: systemctl daemon-reload && systemctl restart edged, then edged doctor; and wipe {args.file}")
    return 0


def _tried(box: Box, root: Path) -> Config:
    """The configuration, right in itself and with certificates that belong together. Raises ConfigError."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from edged.adapters.mqtt_link import tls_context  # noqa: PLC0415
    from edged.box.provision import layers  # noqa: PLC0415
    from edged.configfile.crosscheck import consistent  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        found = layers(box, root, Path(folder))
        config = consistent(found)
        try:
            tls_context(config.mqtt.tls)
        except ConfigError as exc:
            said = str(exc).replace(f"{folder}/", "")
            raise ConfigError(f"{box.layer.where(('mqtt', 'tls'))} {said}") from exc
    return config
