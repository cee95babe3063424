"""`edged infer`: the same pipeline on images, folders and videos, one message per frame on stdout."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edged.pipeline import Pipeline

if TYPE_CHECKING:
    from edged.config.tables.camera import CameraConfig, IntrinsicsConfig
    from edged.config.tables.models import ModelsConfig
    from edged.frame import Frame, FrameResult
    from edged.inference.load_models import LoadedModels

VERB = "infer"
SUMMARY = "Run detection and pose on images, folders or videos; print what is seen in every frame."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image, folder or video")
    parser.add_argument("--jsonl", action="store_true", help="one `poses` message per line, as published over MQTT")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file, for its models")
    parser.add_argument("--detector", metavar="CARD", help="detector, by its name in `edged models list`")
    parser.add_argument(
        "--pose", action="append", default=[], metavar="[CLASS=]CARD", help="pose model of a class (person); repeatable"
    )
    parser.add_argument("--lift", metavar="CARD", help="3D model: people in mm too")
    parser.add_argument("--root", metavar="CARD", help="RootNet, for how far away they are (their size in the image)")
    parser.add_argument(
        "--lens", type=_lens, metavar="FX,FY,CX,CY", help="the camera's focal lengths and centre in px (1500, guessed)"
    )
    parser.add_argument("--classes", metavar="LIST", help="classes looked for, as in person,horse")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="least detector score (that of the card)")


def run(args: argparse.Namespace) -> int:
    """0: every path was read; 1: some could not be."""
    from edged.commands.views import StderrHandler  # noqa: PLC0415
    from edged.config.load import load  # noqa: PLC0415
    from edged.inference.load_models import load_models  # noqa: PLC0415
    from edged.runtime.log import set_up  # noqa: PLC0415

    set_up(StderrHandler(), logging.WARNING)
    settings = load(args.config)
    engines = load_models(_models(settings.models, args), settings.compute)
    say = _json_printer() if args.jsonl else _print_text
    return max([_infer(path, _camera(args, path, engines), engines, say) for path in args.paths])


def _infer(path: str, camera: CameraConfig, engines: LoadedModels, say: Callable[[Frame, FrameResult], None]) -> int:
    from edged import loop  # noqa: PLC0415
    from edged.capture.hub import CameraHub  # noqa: PLC0415
    from edged.capture.make_camera import make_camera  # noqa: PLC0415

    name = VERB
    intake = CameraHub({name: (camera, make_camera(name, camera))}, lambda state: None, retry=False)
    intake.start()
    try:
        loop.run(
            intake, {name: Pipeline(camera, engines.backend, engines.detector, engines.poses)}, [say], threading.Event()
        )
    finally:
        intake.close()
    ledger = intake.counts(name)
    if ledger.failed:
        print(f"edged infer: {path}: {ledger.failed} of {ledger.captured} frames given up", file=sys.stderr)
    return 0 if intake.states[name].phase == "ended" and not ledger.failed else 1


def _models(models: ModelsConfig, args: argparse.Namespace) -> ModelsConfig:
    """The configured models, with those named on the command line in their place."""
    pose = dict(models.pose)
    for given in args.pose:
        label, _, card = given.rpartition("=")
        pose[label or "person"] = card
    named = {key: given for key in ("detector", "lift", "root") if (given := getattr(args, key)) is not None}
    return models.model_copy(update={**named, "pose": pose})


def _lens(text: str) -> IntrinsicsConfig:
    from edged.config.tables.camera import IntrinsicsConfig  # noqa: PLC0415

    try:
        fx, fy, cx, cy = map(float, text.split(","))
        return IntrinsicsConfig(fx=fx, fy=fy, cx=cx, cy=cy)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text}: want four numbers, both focal lengths above 0") from exc


def _camera(args: argparse.Namespace, path: str, engines: LoadedModels) -> CameraConfig:
    from edged.config.load import camera_from_source  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    classes = tuple(args.classes.split(",")) if args.classes else None
    known = engines.detector.classes
    if unknown := sorted(set(classes or ()) - set(known)):
        raise ConfigError(f"--classes {', '.join(unknown)}: the detector does not know it; want of {', '.join(known)}")
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise ConfigError(f"--threshold {args.threshold:g}: want a score from 0 to 1")
    thresholds = {} if args.threshold is None else dict.fromkeys(known, args.threshold)
    space = {"lift": engines.has_lift, "intrinsics": args.lens}
    return camera_from_source(path, realtime=False, classes=classes, thresholds=thresholds, **space)


def _json_printer() -> Callable[[Frame, FrameResult], None]:
    from edged.messages.build import HeaderFactory, encode, poses  # noqa: PLC0415
    from edged.runtime.clock import Clock  # noqa: PLC0415

    stamps = HeaderFactory(Clock())
    return lambda frame, result: print(encode(poses(stamps, result)).decode(), flush=True)


def _print_text(frame: Frame, result: FrameResult) -> None:
    from edged.commands.views import describe_subjects  # noqa: PLC0415

    print(f"{result.source} [{result.position}]: {describe_subjects(result)}", flush=True)
