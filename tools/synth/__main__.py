"""Renders images with their truth.

python -m tools.synth dataset OUT --count 6000 --seed 1 --size 640x360 [--shares horse=0.4,person=0.4,empty=0.2]
python -m tools.synth portraits OUT --count 6000 --seed 1 [--apart]
python -m tools.synth stills OUT
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engines.card.schema import SCHEMAS
from tools import synth
from tools.synth.gallery import stills as drawn
from tools.synth.story import ACTS
from tools.synth.takes import acts, take

SHARES = "horse=0.42,person=0.40,both=0.10,empty=0.08"
CATEGORIES = {"person": 1, "horse": 2}
STILL_QUALITY = 82
EVERY = 200  # images between two progress lines


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.synth", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    commands = parser.add_subparsers(required=True)
    data = commands.add_parser("dataset", help="random pictures and one truth.json")
    data.add_argument("out", type=Path)
    data.add_argument("--count", type=int, default=100)
    data.add_argument("--seed", type=int, default=1)
    data.add_argument("--first", type=int, default=0, help="number of the first picture; to render in parts")
    data.add_argument("--size", type=_size, default=(640, 360), metavar="WxH")
    data.add_argument("--shares", type=_shares, default=_shares(SHARES), help=f"default {SHARES}")
    data.add_argument("--format", choices=("jpg", "webp", "png"), default="jpg")
    data.set_defaults(run=dataset)
    clip = commands.add_parser("clip", help="a horse doing one thing after another, and the truth of every frame")
    clip.add_argument("out", type=Path)
    clip.add_argument("--acts", type=acts, required=True, help=f"BEHAVIOUR:SECONDS,… of: {', '.join(ACTS)}")
    clip.add_argument("--person", action="store_true", help="a person passes")
    clip.add_argument("--night", action="store_true", help="by infrared")
    clip.add_argument("--seed", type=int, default=1)
    clip.add_argument("--fps", type=int, default=15)
    clip.add_argument("--size", type=_size, default=(640, 360), metavar="WxH")
    clip.add_argument("--crf", type=int, default=24)
    clip.set_defaults(run=shot)
    single = commands.add_parser("portraits", help="people without a place, with their joints in space")
    single.add_argument("out", type=Path)
    single.add_argument("--count", type=int, default=6000)
    single.add_argument("--seed", type=int, default=1)
    single.add_argument("--apart", action="store_true", help="of shapes that none without it has, for validation")
    single.set_defaults(run=portraits)
    few = commands.add_parser("stills", help="the pictures the README shows")
    few.add_argument("out", type=Path)
    few.set_defaults(run=stills)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _size(text: str) -> tuple[int, int]:
    w, h = text.split("x")
    return int(w), int(h)


def _shares(text: str) -> dict[str, float]:
    shares = {kind: float(share) for kind, share in (part.split("=") for part in text.split(","))}
    if unknown := sorted(shares.keys() - set(synth.KINDS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such pictures; want of {', '.join(synth.KINDS)}")
    return shares


def dataset(arguments: argparse.Namespace) -> None:
    """Writes OUT/images/NNNNNN.jpg and OUT/truth.json."""
    images: Path = arguments.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    document = _empty_document(arguments)
    began = time.monotonic()
    for done, number in enumerate(range(arguments.first, arguments.first + arguments.count), 1):
        rng = np.random.default_rng([arguments.seed, number, 1])
        kind = str(
            rng.choice(
                list(arguments.shares), p=np.array(list(arguments.shares.values())) / sum(arguments.shares.values())
            )
        )
        image, truths = synth.scene(arguments.seed, number, arguments.size, kind)
        name = f"{number:06d}.{arguments.format}"
        _write(images / name, image, int(rng.integers(45, 96)))
        w, h = arguments.size
        document["images"].append({"id": number, "file_name": name, "width": w, "height": h, "kind": kind})
        document["annotations"] += [_annotation(number, t) for t in truths]
        if done % EVERY == 0 or done == arguments.count:
            print(f"{done}/{arguments.count}  {done / (time.monotonic() - began):.1f} per s", flush=True)
            (arguments.out / "truth.json").write_text(json.dumps(document))


def shot(arguments: argparse.Namespace) -> None:
    """Writes OUT.mp4 and OUT.json.gz."""
    from tools.synth.film import write_film  # noqa: PLC0415

    a = arguments
    frames = take(a.acts, a.size, a.fps, seed=a.seed, night=a.night, passer=a.person)
    count = write_film(a.out, frames, a.fps, a.size, a.crf)
    print(f"{a.out}: {count} frames, {a.out.stat().st_size / 1e6:.2f} MB")


def portraits(arguments: argparse.Namespace) -> None:
    """Writes OUT/portraits.bin and OUT/portraits.npz."""
    from tools.synth.portraits import Portraits  # noqa: PLC0415

    Portraits.write(arguments.out, arguments.seed, arguments.count, apart=arguments.apart)


def stills(arguments: argparse.Namespace) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, image in drawn():
        _write(arguments.out / f"{name}.webp", image, STILL_QUALITY)


def _empty_document(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return an empty document in COCO format; keypoints differ, as a subject has several schemas."""
    return {
        "info": {"seed": arguments.seed, "first": arguments.first, "count": arguments.count},
        "categories": [{"id": n, "name": name} for name, n in CATEGORIES.items()],
        "schemas": {name: list(SCHEMAS[name].keypoints) for name in ("ap10k-17", "lsp-14", "coco-17")},
        "images": [],
        "annotations": [],
    }


def _annotation(image_id: int, truth: Any) -> dict[str, Any]:
    """Return an annotation; `bbox`: x, y, width, height; `keypoints` by schema: x, y, v (2 visible, 1 hidden)."""
    x0, y0, x1, y1 = (float(v) for v in truth.xyxy)
    fields = truth.as_dict()
    return {
        "image_id": image_id,
        "category_id": CATEGORIES[truth.kind],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": fields["pixels"],
        **{key: fields[key] for key in ("behaviour", "visible", "keypoints")},
    }


def _write(path: Path, image: np.ndarray, quality: int) -> None:
    flag = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}.get(path.suffix)
    if not cv2.imwrite(str(path), image, [flag, quality] if flag is not None else []):
        raise OSError(f"{path}: could not be written; is there room?")


if __name__ == "__main__":
    main()
