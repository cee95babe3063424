"""`edged snapshot`: one picture of one camera, with what is seen in it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.config import Camera, Config
    from edged.frame import Subject

VERB = "snapshot"
SUMMARY = "Write an annotated picture of one camera."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; may be left out when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, in place of a configured camera")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>.jpg)")
    parser.add_argument("--plain", action="store_true", help="draw nothing into it")


def run(args: argparse.Namespace) -> int:
    from edged.adapters.cameras import camera_of  # noqa: PLC0415
    from edged.adapters.draw import annotate  # noqa: PLC0415
    from edged.adapters.picture_out import write_picture  # noqa: PLC0415
    from edged.adapters.planes import engines_of  # noqa: PLC0415
    from edged.configfile import load  # noqa: PLC0415
    from edged.snapshot import SETTLE_FRAMES, take  # noqa: PLC0415

    config = load(args.config)
    name, settings = chosen(config, args.camera, args.source)
    engines = engines_of(config.models, config.compute)
    settle = 0 if settings.kind == "files" else SETTLE_FRAMES
    with interruptible():
        image, result = take(camera_of(name, settings), engines.pipeline(settings).run, name=name, settle=settle)
    path = args.out or Path(f"{name}.jpg")
    write_picture(path, image if args.plain else annotate(image, result, engines.sure_from))
    degraded = f"  image {', '.join(result.clarity.degraded)}: not looked at" if result.clarity.degraded else ""
    print(f"{path}  {result.size_wh[0]} x {result.size_wh[1]} px, {len(result.subjects)} subjects{degraded}")
    for subject in result.subjects:
        print(_line(subject, engines.sure_from))
    return 0


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the process at once, also while a library hangs in opening a camera; there is nothing to tidy up."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def chosen(config: Config, name: str | None, source: str | None) -> tuple[str, Camera]:
    """The camera named, or the only one; or one made for `source`."""
    from edged.configfile import camera_at  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    if source is not None:
        return name or "snapshot", camera_at(source)
    if name is None and len(config.cameras) == 1:
        name = next(iter(config.cameras))
    if name not in config.cameras:
        got = "no CAMERA given" if name is None else f"no camera {name!r}"
        raise ConfigError(f"{got}; configured: {', '.join(config.cameras) or 'none'}. Name one, or give --source")
    return name, config.cameras[name]


def _line(subject: Subject, sure_from: dict[str, float]) -> str:
    """Id, class, score, box, and how many keypoints are seen."""
    box = ", ".join(f"{v:.0f}" for v in subject.xyxy.tolist())
    line = f"  {subject.id} {subject.label} {subject.score:.2f}  box [{box}]"
    if subject.keypoints is None or subject.schema is None:
        return line
    seen = int((subject.keypoints[:, 2] >= sure_from[subject.schema]).sum())
    return f"{line}  {seen} of {len(subject.keypoints)} keypoints seen ({subject.schema})"
