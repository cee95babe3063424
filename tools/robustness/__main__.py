"""`python -m tools.robustness`: what bad pictures cost, and what the quality limits withhold, with a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.frame import U8, Frame, FrameResult
from edged.inference.load_models import LoadedModels, load_models
from edged.pipeline import Pipeline
from edged.units import NS_PER_S
from tools.reports import writer
from tools.resume import SavedParts
from tools.robustness import limits, report
from tools.robustness.clips import SCHEMA, Clip, real, reference, rendered
from tools.robustness.conditions import CONDITIONS, Condition
from tools.robustness.score import Play, score

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "tools/demo/stall.mp4"
DATA = ROOT.parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.robustness", description=__doc__)
    parser.add_argument(
        "--clip", type=Path, default=DEMO, help="rendered clip; its truth is CLIP.json.gz (%(default)s)"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of real pictures: media, lsp, horse")
    parser.add_argument("--frames", type=int, default=300, help="most of the rendered clip (%(default)s)")
    parser.add_argument("--real-frames", type=int, default=12, help="most of each real one (%(default)s)")
    parser.add_argument("--stills", type=int, default=30, help="for the gate's limits, of each kind (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of a model; 1 on a busy machine (all cores)")
    parser.add_argument("--out", type=Path, default=ROOT / "tools/reports/robustness")
    args = parser.parse_args()
    engines = load_models(ModelsConfig(), ComputeConfig(threads=args.threads))
    sets = {"rendered": [rendered(args.clip, args.frames)]}
    if lived := list(real(args.data / "media", args.real_frames)):
        sets["real"] = [_with_truth(engines, clip) for clip in lived]
    kept = SavedParts(
        args.out / "unfinished.json", {"frames": args.frames, "real": args.real_frames, "stills": args.stills}
    )
    figures: dict[str, Any] = {
        name: {
            condition: kept.part(f"{name}, {condition}", partial(_row, engines, clips, change))
            for condition, change in CONDITIONS.items()
        }
        for name, clips in sets.items()
    }
    stills = _stills(sets["rendered"][0], args.data, args.stills)
    climbs = {ladder: kept.part(ladder, partial(limits.climb, engines, stills, ladder)) for ladder in limits.LADDERS}
    figures["limits"] = report.limits_of(climbs)
    writer.write(args.out, report.markdown(figures).splitlines(), figures, name="robustness")
    for name, clips in sets.items():
        images = [(condition, *_shown(engines, clips[0], change)) for condition, change in CONDITIONS.items()]
        report.grid(args.out / f"{name}.webp", images)
    kept.forget()
    print((args.out / "README.md").read_text())


def _row(engines: LoadedModels, clips: Sequence[Clip], condition: Condition) -> dict[str, Any]:
    """The figures of one condition."""
    return score([play(engines, clip, disturbed(clip.images, condition)) for clip in clips])


def _stills(clip: Clip, data: Path, count: int) -> list[limits.Still]:
    """So many frames of the clip, and of each kind of annotated photographs."""
    every = max(1, len(clip.images) // count)
    drawn = [limits.Still(image, truth) for image, truth in zip(clip.images, clip.truth or [], strict=True)][::every]
    return drawn + (list(limits.photographs(data, count)) if data.is_dir() else [])


def disturbed(images: Sequence[U8], condition: Condition) -> list[U8]:
    return [condition(image, np.random.default_rng([11, number])) for number, image in enumerate(images)]


def play(engines: LoadedModels, clip: Clip, images: Sequence[U8]) -> Play:
    """The clip's truth with what is published of these images."""
    return Play(truth=clip.truth or [], results=run(engines, clip.fps, images))


def run(engines: LoadedModels, fps: float, images: Sequence[U8]) -> list[FrameResult]:
    """Every picture through a pipeline of its own, in the clip's own time."""
    pipeline = Pipeline(
        CameraConfig(source="robustness"), engines.backend, engines.detector, engines.poses, smooth=False
    )
    times = [round(number * NS_PER_S / fps) for number in range(len(images))]
    return [
        pipeline.run(Frame(camera="robustness", seq=number, captured_ns=t_ns, image=image))
        for number, (t_ns, image) in enumerate(zip(times, images, strict=True))
    ]


def _with_truth(engines: LoadedModels, clip: Clip) -> Clip:
    truth = reference(run(engines, clip.fps, clip.images), lambda label: engines.keypoint_thresholds[SCHEMA[label]])
    return Clip(name=clip.name, fps=clip.fps, images=clip.images, truth=truth)


def _shown(engines: LoadedModels, clip: Clip, condition: Condition) -> tuple[U8, FrameResult]:
    """The last of a few frames, and its result."""
    images = disturbed(clip.images[:20], condition)
    return images[-1], run(engines, clip.fps, images)[-1]


if __name__ == "__main__":
    main()
