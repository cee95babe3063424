"""`edged snapshot`: one picture of one camera, with what is seen in it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edged.pipeline import Pipeline

if TYPE_CHECKING:
    from edged.config.tables.camera import CameraConfig
    from edged.config.tree import Config
    from edged.frame import TrackedSubject

VERB = "snapshot"
SUMMARY = "Write an annotated picture of one camera."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; may be left out when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, in place of a configured camera")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>.jpg)")
    parser.add_argument("--plain", action="store_true", help="draw nothing into it")


def run(args: argparse.Namespace) -> int:
    from edged.capture.make_camera import make_camera  # noqa: PLC0415
    from edged.capture.snapshot import WARM_UP_FRAMES, first_good_frame  # noqa: PLC0415
    from edged.config.load import load  # noqa: PLC0415
    from edged.drawing.annotate import annotate  # noqa: PLC0415
    from edged.drawing.image_file import write_image  # noqa: PLC0415
    from edged.inference.load_models import load_models  # noqa: PLC0415

    config = load(args.config)
    name, settings = choose_camera(config, args.camera, args.source)
    engines = load_models(config.models, config.compute)
    settle = 0 if settings.source_kind == "files" else WARM_UP_FRAMES
    with exit_on_interrupt():
        image, result = first_good_frame(
            make_camera(name, settings),
            Pipeline(settings, engines.backend, engines.detector, engines.poses).run,
            name=name,
            warm_up_frames=settle,
        )
    path = args.out or Path(f"{name}.jpg")
    write_image(path, image if args.plain else annotate(image, result, engines.keypoint_thresholds))
    degraded = f"  image {', '.join(result.quality.degraded)}: not looked at" if result.quality.degraded else ""
    print(f"{path}  {result.size_wh[0]} x {result.size_wh[1]} px, {len(result.subjects)} subjects{degraded}")
    for subject in result.subjects:
        print(_line(subject, engines.keypoint_thresholds))
    return 0


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Ctrl-C ends the process at once, also while a library hangs in opening a camera; there is nothing to tidy up."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def choose_camera(config: Config, name: str | None, source: str | None) -> tuple[str, CameraConfig]:
    """The camera named, or the only one; or one made for `source`."""
    from edged.config.load import camera_from_source  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    if source is not None:
        return name or "snapshot", camera_from_source(source)
    if name is None and len(config.cameras) == 1:
        name = next(iter(config.cameras))
    if name not in config.cameras:
        got = "no CAMERA given" if name is None else f"no camera {name!r}"
        raise ConfigError(f"{got}; configured: {', '.join(config.cameras) or 'none'}. Name one, or give --source")
    return name, config.cameras[name]


def _line(subject: TrackedSubject, sure_from: dict[str, float]) -> str:
    """Id, class, score, box, and how many keypoints are seen."""
    box = ", ".join(f"{v:.0f}" for v in subject.xyxy.tolist())
    line = f"  {subject.id} {subject.label} {subject.score:.2f}  box [{box}]"
    if subject.keypoints is None or subject.schema is None:
        return line
    seen = int((subject.keypoints[:, 2] >= sure_from[subject.schema]).sum())
    return f"{line}  {seen} of {len(subject.keypoints)} keypoints seen ({subject.schema})"
