"""Drawings of cameras: read, checked, written to `conf.d/60-panel.toml`, applied, and undone.

Upstream: the page. Downstream: the site's files and the daemon's reload. A drawing counts only if the whole
configuration with it is valid, and if no other file says something else. Thread: any, one call at a time.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from edged.behaviour.horse.ground_plane import floor_measures
from edged.config.drawing import Drawing, Values, camera_table, drawing_of
from edged.config.load import read_layers
from edged.config.messages import Layers
from edged.config.panel_file import PANEL_FILE
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted, dump
from edged.config_check import CheckedConfig, check_layers, region_violations, remark_lines
from edged.daemon import Daemon
from edged.errors import CommandRejected, ConfigError, NotWritten
from edged.provisioning.atomic_files import write_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

UNDO_FILE = "panel-undo.toml"  # in the state directory: the drawings before the last change
MODE = 0o644


class Drawings:
    """The drawings of a daemon's cameras."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._etc = daemon.parts.options.etc
        self._undo = daemon.config.device.state_dir / UNDO_FILE
        self._lock = threading.Lock()

    def show(self, camera: str) -> Values:
        """The drawing in effect, and whether there is one to go back to."""
        drawing = drawing_of(self._daemon.config.cameras[camera])
        return {"drawing": drawing.model_dump(mode="json"), "undo": self._undo.exists(), "size": self._size(camera)}

    def change(self, camera: str, drawing: Drawing, *, save: bool) -> Values:
        """Check the drawing; written and applied with `save`, if nothing is wrong.

        Raises ConfigError when it cannot be written, CommandRejected when the daemon does not take it.
        """
        with self._lock:
            text = self._text(camera, drawing)
            layers = read_layers(etc=self._site(), replaced={self._place(): text})
            checked = check_layers(layers)
            problems = [problem.text for problem in checked.problems] or self._problems(
                camera, drawing, layers, checked
            )
            found = {
                "problems": problems,
                "remarks": remark_lines(remark for remark in checked.remarks if f"cameras.{camera}." in remark.text),
                "measures": self._measures(camera, drawing),
                "saved": False,
            }
            if not save or problems:
                return found
            return {**found, "saved": True, **self._apply(text)}

    def undo(self) -> Values:
        """Go back to the drawings before the last change; the ones now in effect become those before."""
        with self._lock:
            if not self._undo.exists():
                raise CommandRejected("undo", got="no earlier drawing", wanted="one", do="draw")
            return self._apply(self._undo.read_text())

    def _apply(self, text: str) -> Values:
        """Write the file and reload; the file before comes back when the daemon rejects it."""
        before = self._read()
        try:
            write_file(self._file(), text, MODE)
            changed = self._daemon.reload_now()
        except OSError as exc:
            do = f"as root: ln -s /var/lib/edged/{PANEL_FILE} {self._place()}, or `edged provision FILE`, which does it"
            raise NotWritten(f"{self._file()}: {exc.strerror}; {do}", "unwritable") from exc
        except CommandRejected:
            write_file(self._file(), before, MODE)
            raise
        write_file(self._undo, before, MODE)
        return {"applied": dict(changed)}

    def _problems(self, camera: str, drawing: Drawing, layers: Layers, checked: CheckedConfig) -> list[str]:
        """What the image itself is against, and what another file says."""
        if checked.config is None:
            return []
        settings = checked.config.cameras[camera]
        size = self._size(camera)
        found = [
            f"{dotted(key)}: {sentence}"
            for key, _, sentence in region_violations(("cameras", camera), settings, None if size is None else size)
        ]
        effective, wanted = drawing_of(settings).model_dump(), drawing.model_dump()
        if wanted["roi"] is None and settings.roi is not None and size and tuple(settings.roi) == (0, 0, *size):
            effective["roi"] = None
        for name in wanted:
            if effective[name] != wanted[name]:
                key = _key(camera, name)
                found.append(f"{dotted(key)}: is given in {_origin(layers, key)}; change it or remove it there")
        return found

    def _measures(self, camera: str, drawing: Drawing) -> Values | None:
        size = self._size(camera)
        return None if size is None else floor_measures(drawing.floor, drawing.floor_m, size)

    def _text(self, camera: str, drawing: Drawing) -> str:
        """The whole file with this camera's drawing."""
        values: Values = tomllib.loads(self._read())
        table = camera_table(drawing, self._size(camera), self._daemon.config.cameras[camera])
        cameras = {**values.get("cameras", {}), camera: table}
        return f"# Drawn at the technician's page, which replaces this file.\n\n{dump({'cameras': cameras})}"

    def _read(self) -> str:
        try:
            return self._file().read_text()
        except FileNotFoundError:
            return ""

    def _site(self) -> Path:
        if self._etc is None:
            do = "draw with edged calibrate, or start it without --config"
            raise ConfigError(
                f"the daemon was started with one file, and no drawing is written there; {do}", "one-file"
            )
        return self._etc

    def _place(self) -> Path:
        return self._site() / "conf.d" / PANEL_FILE

    def _file(self) -> Path:
        """The file itself where `conf.d` has a link to it."""
        return Path(os.path.realpath(self._place()))

    def _size(self, camera: str) -> tuple[int, int] | None:
        return self._daemon.parts.hub.states[camera].size_wh


def _key(camera: str, name: str) -> Key:
    """The key of the configuration that a part of the drawing is."""
    of = {"masks": ("masks",), "roi": ("roi",), "beds": ("person_down", "beds")}
    of |= {table: (table, "enabled") for table in ("stall", "aisle", "down")}
    return ("cameras", camera, *of.get(name, ("stall", name)))


def _origin(layers: Layers, key: Key) -> str:
    places = [layer.origin(key) for layer in layers.ordered if key in layer.lines and PANEL_FILE not in layer.name]
    return places[-1] if places else layers.origin(key)
