"""A stall as it was drawn, by options or by clicks: validated, as TOML, and written into a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edged.behaviour.horse.drawing import drawing_errors
from edged.behaviour.horse.ground_plane import floor_size_errors, ground_plane
from edged.config.load import config_from_options
from edged.config.tables.stall import StallConfig
from edged.config.toml_lines import Key
from edged.config.toml_text import dump
from edged.errors import NotWritten

DRAWN_KEYS = ("floor", "floor_m", "open_sides")
MADE_BY = "# Made by edged calibrate.\n"


def drawn_stall(drawn: Mapping[str, Any], names: Mapping[str, str], zone_name: str) -> StallConfig:
    """The stall with this drawing: `floor`, `floor_m`, `open_sides`, `zones`.

    `names`: what the user calls a key; `zone_name`: the same of a zone, before its name. Raises `ConfigError`.
    """
    key: Key = ("cameras", "camera", "stall")
    zones = drawn.get("zones") or {}
    options = {(*key, name): names[name] for name in DRAWN_KEYS}
    options |= {(*key, "zones", zone): f"{zone_name}{zone}" for zone in zones}
    stall = {"enabled": True, **drawn, "zones": zones}
    return (
        config_from_options({"cameras": {"camera": {"source": "0", "stall": stall}}}, options).cameras["camera"].stall
    )


def errors_in_image(stall: StallConfig, size_wh: tuple[int, int]) -> list[str]:
    """What is wrong with the drawing in an image of this size, a line each."""
    errors = [f"{' '.join(path)}: {error}" for path, error in drawing_errors(stall, size_wh)]
    return errors or [f"floor_m: {error}" for error in floor_size_errors(stall, size_wh)]


def camera_height(stall: StallConfig, size_wh: tuple[int, int]) -> str:
    """A sentence with the camera's height above the floor; empty without the floor's size."""
    ground = ground_plane(stall, size_wh)
    if ground is None:
        return ""
    return (
        f"By the floor's size the camera hangs {ground.camera_height_m:.1f} m above it; if that is wrong, read the "
        "corners again."
    )


def stall_toml(camera: str, stall: StallConfig) -> str:
    return dump({"cameras": {camera: {"stall": stall.model_dump(mode="json", exclude_defaults=True)}}})


def write_drawing(file: Path, text: str) -> None:
    """Write the configuration into a file that is not there yet. Raises `NotWritten`."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(f"{MADE_BY}{text}")
    except FileExistsError:
        raise NotWritten(f"{file}: is there already; remove it, or name another file") from None
    except OSError as exc:
        raise NotWritten(f"{file}: {exc.strerror}; name a file in a folder that can be written") from exc
