"""What provisioning prepares: a token of the page, made once, and links to the files that the daemon writes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edged.config.fleet_file import FLEET_FILE
from edged.config.load import CREDENTIALS_DIR
from edged.config.panel_file import PANEL_FILE
from edged.config.toml_text import dotted
from edged.config.tree import Config
from edged.errors import NotWritten
from edged.provisioning.bundle import ETC, Bundle

KEY = ("panel", "token")
TOKEN_FILE = f"/{ETC / CREDENTIALS_DIR / dotted(KEY)}"
TOKEN_BYTES = 24  # 32 characters


def with_panel_token(bundle: Bundle, root: Path) -> tuple[Bundle, str | None]:
    """The bundle with a token, if its page is enabled: its own, the device's, or a new one, which is the second value.

    Raises `NotWritten` when the device's cannot be read.
    """
    panel = bundle.layer.values.get("panel")
    if not isinstance(panel, Mapping) or panel.get("enabled") is not True or KEY in bundle.credentials:
        return bundle, None
    path = root / TOKEN_FILE.lstrip("/")
    try:
        kept = path.read_text().strip() if path.exists() else ""
    except OSError as exc:
        raise NotWritten(f"{path}: {exc.strerror}; run it as root", "unreadable") from exc
    made = None if kept else secrets.token_urlsafe(TOKEN_BYTES)
    return replace(bundle, credentials={**bundle.credentials, KEY: made or kept}), made


def link_own_files(root: Path, config: Config) -> None:
    """Have `conf.d` read the files that the service may write: of its page and of its fleet. Raises `NotWritten`."""
    for name, wanted in ((PANEL_FILE, config.panel.enabled), (FLEET_FILE, config.fleet.group is not None)):
        if wanted:
            _link(root / ETC / "conf.d" / name, config.device.state_dir / name)


def _link(place: Path, target: Path) -> None:
    try:
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
    except OSError as exc:
        raise NotWritten(f"{place}: {exc.strerror}; run it as root", "unwritable") from exc
