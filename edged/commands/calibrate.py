"""`edged calibrate`: a picture with a grid to read positions from, then the stall drawn into it, and its TOML."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.behaviour.horse.drawing import drawing_errors
from edged.behaviour.horse.ground_plane import floor_size_errors, ground_plane
from edged.capture.make_camera import make_camera
from edged.capture.snapshot import WARM_UP_FRAMES, first_image
from edged.commands.interrupts import exit_on_interrupt
from edged.commands.snapshot import choose_camera
from edged.config.load import config_from_options, load
from edged.config.tables.stall import StallConfig
from edged.config.toml_lines import Key
from edged.config.toml_text import dump
from edged.drawing.image_file import write_image
from edged.drawing.stall import with_grid, with_stall
from edged.errors import ConfigError, NotWritten
from edged.frame import U8

Corners = tuple[tuple[float, float], ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; optional when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, instead of a configured camera")
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
    name, image = _grab_image(args)
    path = args.out or Path(f"{name}-grid.jpg")
    stall = _stall(args)
    if stall is None:
        write_image(path, with_grid(image))
        print(f"{path}  read the corners of the floor off it and give them with --floor 'X,Y X,Y …'")
        return 0
    size_wh = (image.shape[1], image.shape[0])
    write_image(path, with_stall(image, stall))
    if errors := _errors(stall, size_wh):
        raise ConfigError("\n".join([*errors, f"see {path}"]))
    if args.write is not None:
        return _write(args.write, path, _toml(name, stall))
    print(f"# {path} shows this stall. Copy these lines into the configuration, or add --write FILE:")
    if ground := ground_plane(stall, size_wh):
        height = f"{ground.camera_height_m:.1f} m"
        print(f"# By the floor's size the camera hangs {height} above it; if that is wrong, read the corners again.")
    print(_toml(name, stall), end="")
    return 0


def _write(file: Path, picture: Path, text: str) -> int:
    """Write the configuration into a file that is not there yet. Raises `NotWritten`."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(f"# Made by edged calibrate.\n{text}")
    except FileExistsError:
        raise NotWritten(f"{file}: is there already; remove it, or name another file") from None
    except OSError as exc:
        raise NotWritten(f"{file}: {exc.strerror}; name a file in a folder that can be written") from exc
    print(f"{file}  has the stall that {picture} shows; next: edged check, then systemctl reload edged")
    return 0


def _grab_image(args: argparse.Namespace) -> tuple[str, U8]:
    """The camera's name and an image (H, W, 3) uint8 BGR of it."""
    name, settings = choose_camera(load(args.config), args.camera, args.source)
    warm_up_frames = 0 if settings.source_kind == "files" else WARM_UP_FRAMES
    with exit_on_interrupt():
        return name, first_image(make_camera(name, settings), name=name, warm_up_frames=warm_up_frames)


def _errors(stall: StallConfig, size_wh: tuple[int, int]) -> list[str]:
    errors = [f"{' '.join(path)}: {error}" for path, error in drawing_errors(stall, size_wh)]
    return errors or [f"floor_m: {error}" for error in floor_size_errors(stall, size_wh)]


def _stall(args: argparse.Namespace) -> StallConfig | None:
    """The stall of the command line; None without one. Raises `ConfigError`."""
    zones = dict(_zone(zone) for zone in args.zone)
    if args.floor is None and not zones:
        return None
    floor = None if args.floor is None else corners("--floor", args.floor)
    stall = {"floor": floor, "floor_m": _size(args.size), "open_sides": tuple(args.open), "zones": zones}
    key: Key = ("cameras", "camera", "stall")
    options = {(*key, "floor"): "--floor", (*key, "floor_m"): "--size", (*key, "open_sides"): "--open"}
    options |= {(*key, "zones", name): f"--zone {name}" for name in zones}
    values = {"cameras": {"camera": {"source": "0", "stall": {"enabled": True, **stall}}}}
    return config_from_options(values, options).cameras["camera"].stall


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


def _toml(name: str, stall: StallConfig) -> str:
    return dump({"cameras": {name: {"stall": stall.model_dump(mode="json", exclude_defaults=True)}}})
