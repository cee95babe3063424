"""`edged calibrate`: a picture with a grid to read positions from, then the stall drawn into it, and its TOML.

With `--page` the stall is drawn by clicking, on a page on loopback.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edged.capture.make_camera import make_camera
from edged.capture.median_image import median_image
from edged.capture.snapshot import WARM_UP_FRAMES, first_image
from edged.commands import calibrate_page
from edged.commands.argument_types import seconds
from edged.commands.interrupts import exit_on_interrupt
from edged.commands.snapshot import choose_camera
from edged.commands.stall_drawing import camera_height, drawn_stall, errors_in_image, stall_toml, write_drawing
from edged.config.load import load
from edged.config.tables.camera import CameraConfig
from edged.drawing.image_file import write_image
from edged.drawing.stall import with_grid, with_stall
from edged.errors import ConfigError
from edged.frame import U8

Corners = tuple[tuple[float, float], ...]

OPTIONS = {"floor": "--floor", "floor_m": "--size", "open_sides": "--open"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; optional when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, instead of a configured camera")
    parser.add_argument(
        "--median", type=seconds, metavar="SECONDS", help="look for so long, as 60, and leave out what moves: a horse"
    )
    parser.add_argument("--page", action="store_true", help="draw by clicking, on a page that this machine serves")
    parser.add_argument("--port", type=int, default=0, help="of the page (default: any free one)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>-grid.jpg)")
    parser.add_argument("--floor", metavar="'X,Y X,Y …'", help="corners of the floor, in order")
    parser.add_argument(
        "--size", metavar="'W D'", help="lengths in m of side 0 and side 1 of a floor of four corners, like '4.0 3.5'"
    )
    parser.add_argument(
        "--open", type=int, nargs="*", default=[], metavar="SIDE", help="sides of the floor without a wall, by number"
    )
    parser.add_argument(
        "--zone", action="append", default=[], metavar="NAME='X,Y X,Y …'", help="feeder, hay, water; repeatable"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the stall there, as /etc/edged/conf.d/90-stall-1.toml"
    )


def run(args: argparse.Namespace) -> int:
    name, settings = choose_camera(load(args.config), args.camera, args.source)
    with exit_on_interrupt():
        image = _grab_image(name, settings, args.median)
    drawn = _drawn(args)
    if args.page:
        return calibrate_page.serve(name, settings, image, drawn, args)
    path = args.out or Path(f"{name}-grid.jpg")
    if not drawn:
        write_image(path, with_grid(image))
        print(f"{path}  read the corners of the floor off it and give them with --floor 'X,Y X,Y …', or click: --page")
        return 0
    return _show(name, image, drawn, path, args.write)


def _show(name: str, image: U8, drawn: dict[str, Any], path: Path, file: Path | None) -> int:
    """Draw the stall into the picture; print its TOML, or write it. Raises `ConfigError` and `NotWritten`."""
    stall, size_wh = drawn_stall(drawn, OPTIONS, "--zone "), (image.shape[1], image.shape[0])
    write_image(path, with_stall(image, stall))
    if errors := errors_in_image(stall, size_wh):
        raise ConfigError("\n".join([*errors, f"see {path}"]))
    text = stall_toml(name, stall)
    if file is not None:
        write_drawing(file, text)
        print(f"{file}  has the stall that {path} shows; next: edged check, then systemctl reload edged")
        return 0
    print(f"# {path} shows this stall. Copy these lines into the configuration, or add --write FILE:")
    if height := camera_height(stall, size_wh):
        print(f"# {height}")
    print(text, end="")
    return 0


def _grab_image(name: str, settings: CameraConfig, median_s: float | None) -> U8:
    """An image of the camera, (H, W, 3) uint8 BGR; with `median_s` the median of so many seconds."""
    warm_up_frames = 0 if settings.source_kind == "files" else WARM_UP_FRAMES
    camera = make_camera(name, settings)
    if median_s is None:
        return first_image(camera, name=name, warm_up_frames=warm_up_frames)
    return median_image(camera, name=name, seconds=median_s, warm_up_frames=warm_up_frames)


def _drawn(args: argparse.Namespace) -> dict[str, Any]:
    """The drawing that the options give; empty without one. Raises `ConfigError`."""
    zones = dict(_zone(zone) for zone in args.zone)
    if args.floor is None and not zones:
        return {}
    floor = None if args.floor is None else corners("--floor", args.floor)
    return {"floor": floor, "floor_m": _size(args.size), "open_sides": tuple(args.open), "zones": zones}


def _zone(text: str) -> tuple[str, Corners]:
    name, equals, points = text.partition("=")
    if not equals:
        raise ConfigError(f"--zone {text!r}: no name; want NAME='X,Y X,Y X,Y'")
    return name, corners(f"--zone {name}", points)


def _size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        width, depth = map(float, text.split())
    except ValueError:
        raise ConfigError(f"--size {text!r}: want two lengths in m, like '4.0 3.5'") from None
    return width, depth


def corners(option: str, text: str) -> Corners:
    """`10,20 30,40 …` as points. Raises `ConfigError`."""
    try:
        points = tuple((float(x), float(y)) for x, y in (pair.split(",") for pair in text.split()))
    except ValueError:
        raise ConfigError(f"{option} {text!r}: want pixels like '80,700 1200,700 1000,300'") from None
    if len(points) < 3:
        raise ConfigError(f"{option}: {len(points)} corners; want at least 3")
    return points
