"""What provisioning does for the technician's page: a token, made once, and a link to the file of its drawings."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edged.config.load import CREDENTIALS_DIR
from edged.config.panel_file import PANEL_FILE
from edged.config.toml_text import dotted
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


def link_drawings(root: Path, state_dir: Path) -> None:
    """Have `conf.d` read the drawings from the one file that the service may write. Raises `NotWritten`."""
    place = root / ETC / "conf.d" / PANEL_FILE
    try:
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(state_dir / PANEL_FILE)
    except OSError as exc:
        raise NotWritten(f"{place}: {exc.strerror}; run it as root", "unwritable") from exc
