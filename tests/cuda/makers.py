"""Makers of backends for the parts of the GPU report, on frames of the demonstration clip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from edged.frame import U8
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from engines.card import Card
from engines.catalogue import load
from engines.prepare import prepare
from engines.prepare.model import PreparedModel
from engines.store.model_store import ModelStore
from tests.cuda.emulated import IMAGE
from tests.cuda.stand_in import StandIn
from tests.support.shared_data import SHARED
from tools.bench.frames import BenchFrame, Scene
from tools.cuda import parts
from tools.cuda.figures import Makers
from tools.cuda.libraries import PUBLISHED, STARTER, PeerSetup

RTMDET = SHARED / "models/upstream/rtmdet_nano.onnx"
ABSENT = Path("/nonexistent")


def made(
    name: str, gpu: Gpu, batches: Sequence[int] | None = None, *, kind: type[StandIn] = StandIn, **how: Any
) -> Engine:
    sizes = batches or ((1,) if load()[name].pose is None else (1, 2))
    card, model = prepared(name, dynamic=len(sizes) > 1)
    return kind(gpu, card, model, sizes, **how)


@cache
def prepared(name: str, *, dynamic: bool) -> tuple[Card, PreparedModel]:
    card = load()[name]
    file = RTMDET if name == PUBLISHED else ModelStore(ABSENT).path(card)
    return card, prepare(card, file.read_bytes(), batch=(1, 4, 8) if dynamic else 1, precision="fp32", io="fp32")


def makers(detector: str = STARTER, **how: Any) -> Makers:
    return Makers(partial(made, detector, **how), {"person": partial(made, "rtmpose-t-coco17", **how)}, IMAGE)


@cache
def clip() -> list[U8]:
    return parts.clip(7)


def of_the_clip(people: int, ours: object) -> list[Scene]:
    """Frames with one person."""
    return [[BenchFrame(bgr=image, rgb=image[..., ::-1].copy(), scene="stall") for image in clip()[5:7]]]


def course(**more: Any) -> PeerSetup:
    plain = {"scenes": of_the_clip, "turns": 1, "people": (1,), "detector": ABSENT}
    return PeerSetup(**{**plain, **more})
