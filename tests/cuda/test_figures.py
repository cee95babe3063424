"""The GPU's figures are taken from one end to the other; on the emulated GPU they mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu
from engines.catalogue import load
from engines.prepare import prepare
from engines.store import Store
from tests.cuda.conftest import IMAGE, Emulated
from tests.cuda.stand_in import StandIn
from tools.cuda import figures
from tools.cuda.__main__ import clip, measured
from tools.cuda.figures import SUBJECTS, Effort, Makers
from tools.cuda.report import markdown

QUICK = Effort(frames=2, warm_up=1, launches=2, long=3, copy_mb=1)


def made(name: str, gpu: Gpu, batches: Sequence[int] | None = None) -> Engine:
    card = load()[name]
    batch: Any = 1 if card.pose is None else (1, 4, 8)
    file = Store(Path("absent")).path(card)
    model = prepare(card, file.read_bytes(), batch=batch, precision="fp32", io="fp32")
    return StandIn(gpu, card, model, batches or ((1,) if card.pose is None else (1, 8)))


def test_every_figure_is_taken_and_the_report_has_them_all(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "SUBJECTS", (1, 2))
    makers = Makers(partial(made, "det-person-horse"), {"person": partial(made, "rtmpose-t-lsp14")}, IMAGE)
    left = emulated("alive")
    found = measured(makers, QUICK, clip()[:2])
    assert emulated("alive") == left
    assert set(found["loops"]) == {"as it is", "without graphs", "frames copied", "subjects one by one"}
    for way in found["loops"].values():
        assert [way[str(n)]["subjects"] for n in (1, 2)] == [[1], [2]], "every frame had as many subjects as it says"
    assert found["bandwidth"]["copy"]["bytes"] == 2 * 1_000_000
    assert found["steady"]["frames"] == QUICK.long
    for way in found["loops"].values():
        way |= {str(n): way["2"] for n in SUBJECTS}
    found["loop_per_engines"] |= dict.fromkeys(map(str, SUBJECTS), 1.05)
    page = markdown(
        {**found, "machine": {"gpu": "a GPU", "sm": "8.7", "driver": "12.6"}, "checks": {"tests": "passed"}}
    )
    assert "| as it is |" in page
    assert "1.05, 1.05" in page
