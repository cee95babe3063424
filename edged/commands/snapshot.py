"""`edged snapshot`: an annotated picture of one camera."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.capture.make_camera import make_camera
from edged.capture.snapshot import WARM_UP_FRAMES, first_good_frame
from edged.commands.interrupts import exit_on_interrupt
from edged.config.load import camera_from_source, load
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.drawing.annotate import annotate
from edged.drawing.image_file import write_image
from edged.errors import ConfigError
from edged.frame import TrackedSubject
from edged.inference.load_models import load_models
from edged.pipeline import Pipeline


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; optional when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, instead of a configured camera")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>.jpg)")
    parser.add_argument("--plain", action="store_true", help="without annotations")


def run(args: argparse.Namespace) -> int:
    config = load(args.config)
    name, settings = choose_camera(config, args.camera, args.source)
    models = load_models(config.models, config.compute)
    warm_up_frames = 0 if settings.source_kind == "files" else WARM_UP_FRAMES
    with exit_on_interrupt():
        image, result = first_good_frame(
            make_camera(name, settings),
            Pipeline(settings, models.backend, models.detector, models.poses).run,
            name=name,
            warm_up_frames=warm_up_frames,
        )
    path = args.out or Path(f"{name}.jpg")
    write_image(path, image if args.plain else annotate(image, result, models.keypoint_thresholds))
    degraded = f"  image {', '.join(result.quality.degraded)}: not processed" if result.quality.degraded else ""
    print(f"{path}  {result.size_wh[0]} x {result.size_wh[1]} px, {len(result.subjects)} subjects{degraded}")
    for subject in result.subjects:
        print(_line(subject, models.keypoint_thresholds))
    return 0


def choose_camera(config: Config, name: str | None, source: str | None) -> tuple[str, CameraConfig]:
    """The camera of this name, or the only one; with `source`, a camera of that source. Raises ConfigError."""
    if source is not None:
        return name or "snapshot", camera_from_source(source)
    if name is None and len(config.cameras) == 1:
        name = next(iter(config.cameras))
    if name not in config.cameras:
        got = "no CAMERA given" if name is None else f"no camera {name!r}"
        raise ConfigError(f"{got}; configured: {', '.join(config.cameras) or 'none'}. Name one, or give --source")
    return name, config.cameras[name]


def _line(subject: TrackedSubject, keypoint_thresholds: dict[str, float]) -> str:
    """Id, class, score, box, and how many keypoints are above the model's threshold."""
    box = ", ".join(f"{v:.0f}" for v in subject.xyxy.tolist())
    line = f"  {subject.id} {subject.label} {subject.score:.2f}  box [{box}]"
    if subject.keypoints is None or subject.schema is None:
        return line
    seen = int((subject.keypoints[:, 2] >= keypoint_thresholds[subject.schema]).sum())
    return f"{line}  {seen} of {len(subject.keypoints)} keypoints seen ({subject.schema})"
