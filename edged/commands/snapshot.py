"""`edged snapshot`: an annotated picture of one camera."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from edged.behaviour.horse.day_log import DayLog
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.behaviour.horse.thresholds import HORSE_SCHEMA
from edged.behaviour.messages import stall_state
from edged.behaviour.words import describe_scene
from edged.capture.make_camera import make_camera
from edged.capture.snapshot import GOOD_FRAME_TIMEOUT_S, WARM_UP_FRAMES, first_good_frame
from edged.commands.interrupts import exit_on_interrupt
from edged.config.load import camera_from_source, load
from edged.config.tables.camera import CameraConfig
from edged.config.tables.stall import StallConfig
from edged.config.tree import Config
from edged.drawing.annotate import LEGEND, annotate
from edged.drawing.image_file import write_image
from edged.drawing.side_view import beside
from edged.errors import ConfigError
from edged.frame import FrameResult, TrackedSubject
from edged.inference.load_models import load_models
from edged.pipeline import Pipeline
from edged.units import NS_PER_S, plural

STALL_TIMEOUT_S = 8.0  # for a posture to be known, which takes three seconds of good images


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", metavar="CAMERA", help="its name; optional when there is only one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--source", help="device, stream or file, instead of a configured camera")
    parser.add_argument("--out", type=Path, metavar="FILE", help="picture to write, .jpg or .png (<camera>.jpg)")
    parser.add_argument("--plain", action="store_true", help="without annotations")


def run(args: argparse.Namespace) -> int:
    config = load(args.config)
    name, settings = choose_camera(config, args.camera, args.source)
    models = load_models(config.models.in_use(lifts=settings.lift), config.compute)
    look = _Look(settings.stall, models.keypoint_thresholds)
    with exit_on_interrupt():
        image, result = first_good_frame(
            make_camera(name, settings),
            Pipeline(settings, models.backend, models.detector, models.poses).run,
            name=name,
            warm_up_frames=0 if settings.source_kind == "files" else WARM_UP_FRAMES,
            timeout_s=STALL_TIMEOUT_S if settings.stall.enabled else GOOD_FRAME_TIMEOUT_S,
            is_good=look.is_enough,
        )
    path = args.out or Path(f"{name}.jpg")
    if not args.plain:
        image = annotate(image, result, models.keypoint_thresholds, look.words)
        image = beside(image, result) if settings.lift else image
    write_image(path, image)
    degraded = f"  image {', '.join(result.quality.degraded)}: not processed" if result.quality.degraded else ""
    print(f"{path}  {result.size_wh[0]} x {result.size_wh[1]} px, {plural(len(result.subjects), 'subject')}{degraded}")
    for subject in result.subjects:
        print(_line(subject, models.keypoint_thresholds))
    for line in filter(None, (look.words, _other_files(settings, result))):
        print(f"  {line}")
    if result.subjects and not args.plain:
        print(f"  {LEGEND}")
    return 0


class _Look:
    """How long a camera is looked at: for one good image, and at a stall until the horse's posture is known."""

    def __init__(self, stall: StallConfig, keypoint_thresholds: Mapping[str, float]) -> None:
        horse = keypoint_thresholds.get(HORSE_SCHEMA, 1.0)
        self._monitor = StallMonitor(stall, horse, DayLog([])) if stall.enabled else None

    def is_enough(self, result: FrameResult) -> bool:
        if self._monitor is not None and not result.quality.degraded:
            self._monitor.process(result)
            self._monitor.tick(result.captured_ns / NS_PER_S, datetime.now().astimezone())
        known = self._monitor is None or self._monitor.state.posture != "unknown"
        return known and not result.quality.degraded

    @property
    def words(self) -> str:
        return "" if self._monitor is None else describe_scene({"stall": stall_state(self._monitor.state)})


def _other_files(settings: CameraConfig, result: FrameResult) -> str:
    """Which image of a folder this is; empty for another source."""
    if settings.source_kind != "files" or not Path(settings.source.reveal()).is_dir():
        return ""
    return f"of {result.source}; `edged infer {shlex.quote(settings.source.reveal())} --save DIR` does the whole folder"


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
    line = f"  {subject.label} #{subject.id} {100 * subject.score:.0f} %  box [{box}]"
    if subject.keypoints is None or subject.schema is None:
        return line
    seen = int((subject.keypoints[:, 2] >= keypoint_thresholds[subject.schema]).sum())
    return f"{line}  {seen} of {len(subject.keypoints)} keypoints seen ({subject.schema})"
