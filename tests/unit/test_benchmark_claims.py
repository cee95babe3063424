"""Published figures compared with measured ones."""

import pytest

from tools.evaluate.benchmark.claims import Claim, claims, compare, disagreements


@pytest.mark.parametrize(
    ("value", "verdict_text"),
    [
        (50.9, "within 2% of 50"),
        (45.0, "10.0% better than 50"),
        (55.0, "10.0% worse than 50"),
    ],
)
def test_fewer_millimetres_are_better(value: float, verdict_text: str) -> None:
    (line,) = compare([Claim("m", "d", "MPJPE mm", 50, "me")], {"MPJPE mm": value})
    assert verdict_text in line


def test_larger_share_is_better() -> None:
    (line,) = compare([Claim("m", "d", "AP", 0.5, "me")], {"AP": 0.6})
    assert "20.0% better" in line


def test_claim_about_another_figure_is_not_compared() -> None:
    assert compare([Claim("m", "d", "AP", 0.5, "me")], {"AR": 0.6}) == []


def test_sources_that_agree_are_not_listed() -> None:
    assert disagreements([Claim("m", "d", "AP", 0.500, "me"), Claim("m", "d", "AP", 0.505, "you")]) == []


def test_disagreeing_claims_on_rootnet_are_listed_with_sources() -> None:
    (line,) = disagreements(claims("rootnet", "h36m-p2"))
    assert "120 (the authors' README)" in line
    assert "57 (circulated" in line
