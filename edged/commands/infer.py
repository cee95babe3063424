"""`edged infer`: the daemon's pipeline on images, folders and videos: a line per frame, or annotated copies."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from edged import loop
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.commands.infer_output import Summary, progress_bar
from edged.commands.views import StderrHandler, describe_subjects
from edged.config.load import camera_from_source, load
from edged.config.tables.camera import CameraConfig, IntrinsicsConfig
from edged.config.tables.models import STARTER_LIFT, STARTER_ROOT, ModelsConfig
from edged.config.types import NAME as NAME_PATTERN
from edged.drawing.annotate import LEGEND
from edged.drawing.result_files import ResultFiles, ResultFolder
from edged.errors import ConfigError, NotWritten
from edged.frame import Frame, FrameResult
from edged.inference.cpu.motion_gate import motion_gate
from edged.inference.load_models import LoadedModels, load_models
from edged.messages.build import HeaderFactory, encode, poses
from edged.pipeline import Pipeline
from edged.runtime.clock import Clock
from edged.runtime.log import set_up
from edged.units import plural

NAME = "infer"  # of the camera, in messages
OUTPUT = "output"  # code of the error of a pipe that nobody reads any more, or of a full disk


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="image, folder or video")
    parser.add_argument("--jsonl", action="store_true", help="one `poses` message per line, as published over MQTT")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write annotated pictures, or a video of a video")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file, for its models")
    parser.add_argument("--detector", metavar="CARD", help="detector, by its name in `edged models list`")
    parser.add_argument(
        "--pose", action="append", default=[], metavar="[CLASS=]CARD", help="pose model of a class (person); repeatable"
    )
    parser.add_argument(
        "--lift", nargs="?", const=STARTER_LIFT, metavar="CARD", help="adds 3D keypoints of people, in mm; a 3D model"
    )
    parser.add_argument(
        "--root",
        metavar="CARD",
        help="RootNet, for their distance (default: the starter one with the starter 3D model, else from their size)",
    )
    parser.add_argument(
        "--lens",
        type=_lens,
        metavar="FX,FY,CX,CY",
        help="the camera's focal lengths and principal point in px (default: 1500, a guess)",
    )
    parser.add_argument("--classes", metavar="LIST", help="classes to detect, as in person,horse")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="lowest detector score (default: the card's)")


def run(args: argparse.Namespace) -> int:
    """0: every path was read; 1: some could not be."""
    set_up(_Messages(), logging.WARNING)
    _sort_out_paths(args)
    config = load(args.config)
    folder = ResultFolder(args.save, map(Path, args.paths)) if args.save else None
    models = load_models(_models(config.models, args), config.compute)
    output = _json_printer() if args.jsonl else None if args.save else _print_text
    infer = partial(_infer, models=models, output=output, folder=folder, summarise=not args.jsonl)
    try:
        code = max([infer(path, _camera(args, path, models)) for path in args.paths])
    except NotWritten as error:
        if error.code == OUTPUT and error.__cause__ is not None:
            raise error.__cause__ from None
        raise
    if folder is not None and folder.size:
        print(f"{plural(folder.size, 'file')} in {args.save}; {LEGEND}", file=sys.stderr)
    return code


def _sort_out_paths(args: argparse.Namespace) -> None:
    """`--lift photo.jpg` names no card, whether there is such a file or not. Raises ConfigError without any path."""
    if args.lift is not None and (Path(args.lift).exists() or not re.fullmatch(NAME_PATTERN, args.lift)):
        args.paths.insert(0, args.lift)
        args.lift = STARTER_LIFT
    if not args.paths:
        raise ConfigError("no PATH given; name an image, a folder or a video")


class _Messages(StderrHandler):
    """Log lines without the name of a camera: a file has none."""

    def format(self, record: logging.LogRecord) -> str:
        return f"edged infer: {record.getMessage().removeprefix(f'camera {NAME}: ').removeprefix('lost: ')}"


def _infer(
    path: str,
    camera: CameraConfig,
    models: LoadedModels,
    output: loop.Sink | None,
    folder: ResultFolder | None,
    *,
    summarise: bool,
) -> int:
    """0: every frame of the path was processed, else 1."""
    summary = Summary(path)
    with ExitStack() as stack:
        sinks: list[loop.Sink] = [summary, *([output] if output else [stack.enter_context(progress_bar(Path(path)))])]
        if folder is not None:
            sinks.append(
                stack.enter_context(ResultFiles(folder, Path(path), models.keypoint_thresholds, space=camera.lift))
            )
        hub = CameraHub({NAME: (camera, make_camera(NAME, camera))}, lambda state: None, retry=False)
        pipeline = Pipeline(camera, models.backend, models.detector, models.poses, gate=motion_gate(camera))
        stack.callback(hub.close)
        hub.start()
        loop.run(hub, {NAME: pipeline}, sinks, threading.Event())
    counts = hub.counts(NAME)
    if counts.failed:
        print(f"edged infer: {path}: {counts.failed} of {plural(counts.captured, 'frame')} failed", file=sys.stderr)
    if counts.processed and summarise:
        print(summary.line(), file=sys.stderr)
    return 0 if hub.states[NAME].phase == "ended" and not counts.failed else 1


def _models(models: ModelsConfig, args: argparse.Namespace) -> ModelsConfig:
    """The configured models, overridden by those on the command line."""
    pose = dict(models.pose)
    for given in args.pose:
        pose[_pose_label(given)] = given.rpartition("=")[2]
    named = {key: given for key in ("detector", "lift", "root") if (given := getattr(args, key)) is not None}
    if args.lift == STARTER_LIFT:
        named.setdefault("root", STARTER_ROOT)
    if args.root is not None and args.lift is None and models.lift is None:
        raise ConfigError(f"--root {args.root}: wants a 3D model too; add --lift")
    return models.model_copy(update={**named, "pose": pose})


def _pose_label(given: str) -> str:
    """The class in `[CLASS=]CARD`."""
    return given.rpartition("=")[0] or "person"


def _lens(text: str) -> IntrinsicsConfig:
    try:
        fx, fy, cx, cy = map(float, text.split(","))
        return IntrinsicsConfig(fx=fx, fy=fy, cx=cx, cy=cy)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text}: want four numbers, both focal lengths above 0") from exc


def _camera(args: argparse.Namespace, path: str, models: LoadedModels) -> CameraConfig:
    classes = tuple(filter(None, map(str.strip, args.classes.split(",")))) if args.classes else None
    known = models.detector.classes
    if classes == ():
        raise ConfigError(f"--classes {args.classes}: names no class; want {', '.join(known)}")
    posed = [_pose_label(given) for given in args.pose]
    for option, named in (("classes", classes or ()), ("pose", posed)):
        if unknown := sorted(set(named) - set(known)):
            raise ConfigError(
                f"--{option} {', '.join(unknown)}: the detector does not know it; want {', '.join(known)}"
            )
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise ConfigError(f"--threshold {args.threshold:g}: want a score from 0 to 1")
    thresholds = {} if args.threshold is None else dict.fromkeys(known, args.threshold)
    lift = {"lift": models.has_lift, "intrinsics": args.lens}
    return camera_from_source(path, realtime=False, classes=classes, thresholds=thresholds, **lift)


def _json_printer() -> loop.Sink:
    headers = HeaderFactory(Clock())
    return lambda frame, result: _print(encode(poses(headers, result)).decode())


def _print_text(frame: Frame, result: FrameResult) -> None:
    _print(f"{result.source} [{result.position}]: {describe_subjects(result)}")


def _print(line: str) -> None:
    """Raises NotWritten, which ends the loop: after any other error it goes on with the next frame."""
    try:
        print(line, flush=True)
    except OSError as error:
        raise NotWritten(f"the output: {error.strerror}", OUTPUT) from error
