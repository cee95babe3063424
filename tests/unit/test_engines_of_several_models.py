"""`edged engines` on several models: one that fails does not stop the others."""

from __future__ import annotations

from argparse import Namespace

import pytest

from edged.commands import engines
from engines.card import Card
from engines.errors import BuildFailed

NAMES = ["rtmpose-t-lsp14", "det-person-horse", "rtmpose-t-ap10k-horse"]


@pytest.mark.parametrize("error", [BuildFailed("no kernel"), RuntimeError("no kernel")])
def test_model_that_fails_in_any_way_is_reported_and_the_others_go_on(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(card: Card) -> list[engines.Row]:
        if card.name == NAMES[1]:
            raise error
        return [{"model": card.name, "result": "built"}]

    rows, failed = engines._each(Namespace(config=None, catalogue=None, names=NAMES), act)
    assert failed
    assert [(row["model"], row["result"]) for row in rows] == list(
        zip(NAMES, ["built", "failed", "built"], strict=True)
    )
    assert "no kernel" in capsys.readouterr().err
