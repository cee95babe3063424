"""`edged calibrate`: a picture with a grid to read positions from; and what was understood of those read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.config.tables.stall import StallConfig
    from edged.config.toml_lines import Key
    from edged.frame import U8

VERB = "calibrate"
SUMMARY = "Tell the box where a stall's floor, feeder and water are."

Corners = tuple[tuple[float, float], ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; may be left out when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, in place of a configured camera")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>-grid.jpg)")
    parser.add_argument("--floor", metavar="'X,Y X,Y …'", help="corners of the floor, one after the other")
    parser.add_argument(
        "--size",
        metavar="'W D'",
        help="length in m of its side 0 and of its side 1, like '4.0 3.5'; it has four corners",
    )
    parser.add_argument(
        "--open", type=int, nargs="*", default=[], metavar="SIDE", help="sides of the floor that are no wall, by number"
    )
    parser.add_argument(
        "--zone", action="append", default=[], metavar="NAME='X,Y X,Y …'", help="feeder, hay, water; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    from edged.behaviour.horse.geometry import drawing_errors, ground_plane  # noqa: PLC0415
    from edged.drawing.image_file import write_image  # noqa: PLC0415
    from edged.drawing.stall import with_grid, with_stall  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    name, image = _grab_image(args)
    path = args.out or Path(f"{name}-grid.jpg")
    stall = _stall(args)
    if stall is None:
        write_image(path, with_grid(image))
        print(f"{path}  read the corners of the floor off it and give them with --floor 'X,Y X,Y …'")
        return 0
    write_image(path, with_stall(image, stall))
    if wrong := drawing_errors(stall, (image.shape[1], image.shape[0])):
        raise ConfigError("\n".join([*(f"{' '.join(where)}: {told}" for where, told in wrong), f"see {path}"]))
    print(f"# {path} shows what was understood. Put this into the configuration:")
    if ground := ground_plane(stall, (image.shape[1], image.shape[0])):
        print(
            f"# By the floor's size the camera hangs {ground.camera_height_m:.1f} m above it; if it does not, read it again."
        )
    print(_toml(name, stall))
    return 0


def _grab_image(args: argparse.Namespace) -> tuple[str, U8]:
    from edged.capture.make_camera import make_camera  # noqa: PLC0415
    from edged.capture.snapshot import WARM_UP_FRAMES, first_image  # noqa: PLC0415
    from edged.commands.interrupts import exit_on_interrupt  # noqa: PLC0415
    from edged.commands.snapshot import choose_camera  # noqa: PLC0415
    from edged.config.load import load  # noqa: PLC0415

    name, settings = choose_camera(load(args.config), args.camera, args.source)
    settle = 0 if settings.source_kind == "files" else WARM_UP_FRAMES
    with exit_on_interrupt():
        return name, first_image(make_camera(name, settings), name=name, warm_up_frames=settle)


def _stall(args: argparse.Namespace) -> StallConfig | None:
    """None when nothing was given yet. Raises `ConfigError`."""
    from edged.config.load import config_from_options  # noqa: PLC0415

    zones = dict(_parse_zone(zone) for zone in args.zone)
    if args.floor is None and not zones:
        return None
    floor = None if args.floor is None else parse_corners("--floor", args.floor)
    stall = {"floor": floor, "floor_m": _parse_size(args.size), "open_sides": tuple(args.open), "zones": zones}
    key: Key = ("cameras", "camera", "stall")
    options = {(*key, "floor"): "--floor", (*key, "floor_m"): "--size", (*key, "open_sides"): "--open"}
    options |= {(*key, "zones", name): f"--zone {name}" for name in zones}
    values = {"cameras": {"camera": {"source": "0", "stall": {"enabled": True, **stall}}}}
    return config_from_options(values, options).cameras["camera"].stall


def _parse_zone(text: str) -> tuple[str, Corners]:
    from edged.errors import ConfigError  # noqa: PLC0415

    name, equals, points = text.partition("=")
    if not equals:
        raise ConfigError(f"--zone {text!r}: no name; want NAME='X,Y X,Y X,Y'")
    return name, parse_corners(f"--zone {name}", points)


def _parse_size(text: str | None) -> tuple[float, float] | None:
    from edged.errors import ConfigError  # noqa: PLC0415

    if text is None:
        return None
    try:
        width, depth = map(float, text.split())
    except ValueError:
        raise ConfigError(f"--size {text!r}: want two lengths in m, like '4.0 3.5'") from None
    return width, depth


def parse_corners(option: str, text: str) -> Corners:
    """`10,20 30,40 …` as points. Raises `ConfigError`."""
    from edged.errors import ConfigError  # noqa: PLC0415

    try:
        points = tuple((float(x), float(y)) for x, y in (pair.split(",") for pair in text.split()))
    except ValueError:
        raise ConfigError(f"{option} {text!r}: want pixels like '80,700 1200,700 1000,300'") from None
    if len(points) < 3:
        raise ConfigError(f"{option}: {len(points)} corners; want at least 3")
    return points


def _toml(name: str, stall: StallConfig) -> str:
    def listed(points: Corners) -> str:
        return "[" + ", ".join(f"[{x:g}, {y:g}]" for x, y in points) + "]"

    lines = [f"[cameras.{name}.stall]", "enabled = true"]
    if stall.floor is not None:
        lines.append(f"floor = {listed(stall.floor)}")
    if stall.floor_m is not None:
        lines.append(f"floor_m = [{stall.floor_m[0]:g}, {stall.floor_m[1]:g}]")
    if stall.open_sides:
        lines.append(f"open_sides = {list(stall.open_sides)}")
    if stall.zones:
        lines.append("zones = { " + ", ".join(f"{zone} = {listed(p)}" for zone, p in stall.zones.items()) + " }")
    return "\n".join(lines)
