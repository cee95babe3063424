"""What `edged provision` does with a bundle: check it, and apply it so that a failure is taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.config.certificates import camera_tls
from edged.config.tree import Config
from edged.config_check import check_layers, remark_lines, valid_config
from edged.errors import ConfigError
from edged.mqtt.tls import tls_context
from edged.provisioning.bundle import (
    Bundle,
    bundle_layers,
    install,
    mark_applied,
    note_start,
    rollback,
    snapshot,
    was_applied,
)
from edged.provisioning.panel_setup import link_own_files
from edged.provisioning.signature import fingerprint, trust
from edged.runtime import systemd

REPORT_TIMEOUT_S = 30.0  # until cameras and broker are connected


def apply_once(bundle: Bundle, root: Path, keys: Sequence[str] = ()) -> int:
    """Trust the keys, install, restart the daemon, and restore the previous settings if it does not start."""
    if was_applied(bundle, root):
        print("this file was applied before; nothing is done. To apply it again, change it, for example a comment")
        return 0
    config = check_bundle(bundle, root)
    for line in trust(keys, root):
        print(f"from now on this device takes only sticks and releases signed by {fingerprint(line)}")
    service = systemd.Service()
    if service.running:
        snapshot(root)
    install(bundle, root)
    link_own_files(root, config)
    failure = service.restart()
    mark_applied(bundle, root)
    if not failure:
        note_start(root, failed=False)
        print(f"applied; the daemon runs with it\n{service.wait_for_status(REPORT_TIMEOUT_S)}")
        return 0
    print(f"the daemon does not start with it:\n{failure}")
    if rollback(root):
        failure = service.restart()
        print(f"the previous settings are restored{f', and fail too: {failure}' if failure else ''}")
    else:
        note_start(root, failed=True)
    return 1


def check_bundle(bundle: Bundle, root: Path) -> Config:
    """The configuration, checked with its certificates, after a printed summary. Raises ConfigError."""
    if not bundle.layer.values:
        raise ConfigError(f"{bundle.layer.name}: holds no settings, and would remove those of before; write it anew")
    with TemporaryDirectory() as folder:
        layers = bundle_layers(bundle, root, Path(folder))
        checked = check_layers(layers)
        config = valid_config(checked)
        _check_certificates(bundle, config, folder)
    cameras = ", ".join(config.enabled_cameras) or "none yet"
    print(f"{config.device.id}: broker {config.mqtt.address}; cameras: {cameras}")
    print("".join(f"{remark}\n" for remark in remark_lines(checked.remarks)), end="")
    return config


def _check_certificates(bundle: Bundle, config: Config, folder: str) -> None:
    """Raises ConfigError where the broker's, or a camera's CA, cannot be used; `folder` is where they lie now."""
    key: tuple[str, ...] = ("mqtt", "tls")
    try:
        tls_context(config.mqtt.tls)
        for name, camera in config.cameras.items():
            if camera.ca is not None:
                key = ("cameras", name, "ca")
                camera_tls(name, camera)
    except ConfigError as exc:
        message = re.sub(rf" = {re.escape(folder)}/[^\s:,]+", "", str(exc))  # where it lies for the check
        raise ConfigError(f"{bundle.layer.where(key)} {message}") from exc
