"""Published figures of a model on a complete dataset, with their sources; several where sources disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engines.card import Card
from engines.catalogue import load
from tools.evaluate.benchmark.score import lower_is_better

TOLERANCE = 0.02  # of the value


class Claim(NamedTuple):
    """One published figure."""

    model: str
    data: str
    figure: str
    value: float
    source: str


_P2, _P1 = ("h36m-p2", "MPJPE mm"), ("h36m-p1", "PA-MPJPE rigid mm")
_CNX, _MHP = "the authors' repository", "the authors' repository"
_ROUND = "circulated, variant not stated"
_NETS = (
    Claim("convnextpose-xs", *_P2, 56.61, "third party"),
    Claim("convnextpose-s", *_P2, 51.80, "third party"),
    Claim("convnextpose-m", *_P2, 51.05, _CNX),
    Claim("convnextpose-l", *_P2, 49.75, _CNX),
    Claim("convnextpose-m", *_P1, 34.5, _CNX),
    Claim("convnextpose-l", *_P1, 32.8, _CNX),
    *(Claim(f"convnextpose-{v}", *_P2, 53.0, _ROUND) for v in ("xs", "s", "m", "l")),
    Claim("rootnet", "h36m-p2", "MRPE mm", 120.0, "the authors' README"),
    Claim("rootnet", "h36m-p2", "MRPE mm", 57.0, "circulated; no source found"),
    Claim("mobilehumanpose", *_P2, 84.0, "circulated; no source found"),
    Claim("mobilehumanpose", *_P2, 51.4, f"{_MHP}: largest variant"),
    Claim("mobilehumanpose", *_P2, 56.9, f"{_MHP}: small variant"),
    Claim("mobilehumanpose", *_P2, 69.6, f"{_MHP}: smallest variant"),
    Claim("mobilehumanpose", *_P1, 35.2, f"{_MHP}: largest variant"),
    Claim("mobilehumanpose-large", *_P2, 51.4, _MHP),
    Claim("mobilehumanpose-large", *_P1, 35.2, _MHP),
    Claim("mobilehumanpose-muco", "mupots", "3DPCK@150", 0.796, f"{_MHP}: largest variant, rescaled to true bones"),
    Claim("integral-r152", *_P2, 57.0, "circulated; the README's 56.9 is of the challenge's validation set, flipped"),
    Claim("integral-r152", *_P2, 49.6, "tables of later papers"),
    Claim("integral-r50", *_P2, 62.2, "the authors' README: challenge's validation set, not protocol 2"),
)
_FLIPPED = "MMPose, flip test, detected boxes"
_CARDS = (
    Claim("rtmpose-t-body17", "coco", "AP", 0.659, _FLIPPED),
    Claim("rtmpose-s-body17", "coco", "AP", 0.697, _FLIPPED),
    Claim("rtmpose-m-body17", "coco", "AP", 0.749, _FLIPPED),
    Claim("rtmpose-l-body17", "coco", "AP", 0.767, _FLIPPED),
    Claim("rtmpose-m-ap10k", "ap10k", "AP", 0.722, "MMPose, flip test, true boxes"),
)
_MEASURED = {"pck_true_boxes": ("lsp", "PCK@0.2 torso"), "pck10_val": ("horse", "PCK@0.1 longer box side")}


def claims(model: str, data: str) -> list[Claim]:
    cards = [claim for card in load().values() for claim in _card_claims(card)]
    return [claim for claim in (*_NETS, *_CARDS, *cards) if (claim.model, claim.data) == (model, data)]


def _card_claims(card: Card) -> list[Claim]:
    """Return the figures that the card states as measured."""
    stated = ((*_MEASURED[key], float(card.measured[key])) for key in _MEASURED.keys() & card.measured.keys())
    return [Claim(card.name, data, figure, value, "its card") for data, figure, value in stated]


def compare(claims: Sequence[Claim], figures: dict[str, float]) -> list[str]:
    """Return a line for each claim that can be compared with a figure."""
    return [_line(claim, figures[claim.figure]) for claim in claims if claim.figure in figures]


def _line(claim: Claim, value: float) -> str:
    difference = value / claim.value - 1
    better = "better" if (difference < 0) == lower_is_better(claim.figure) else "worse"
    how = f"within {TOLERANCE:.0%} of" if abs(difference) <= TOLERANCE else f"{abs(difference):.1%} {better} than"
    return f"{claim.figure} {value:.4g}: {how} {claim.value:.4g} ({claim.source})"


def disagreements(claims: Sequence[Claim]) -> list[str]:
    """Return a line for each figure whose sources differ by more than the tolerance."""
    by_figure: dict[str, list[Claim]] = {}
    for claim in claims:
        by_figure.setdefault(claim.figure, []).append(claim)
    return [_disagreement(same) for same in by_figure.values() if _differ(same)]


def _differ(same: Sequence[Claim]) -> bool:
    values = [claim.value for claim in same]
    return max(values) / min(values) - 1 > TOLERANCE


def _disagreement(same: Sequence[Claim]) -> str:
    stated = "; ".join(f"{claim.value:g} ({claim.source})" for claim in same)
    return f"{same[0].model} on {same[0].data}, {same[0].figure}: {stated}"
