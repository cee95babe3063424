"""The benchmark on annotated photographs says what the cards state."""

from pathlib import Path

import pytest

from tests.support.shared_data import SHARED
from tools.evaluate.benchmark.adapters import coco, ours
from tools.evaluate.benchmark.answers import predict
from tools.evaluate.benchmark.claims import claims
from tools.evaluate.benchmark.models import models
from tools.evaluate.benchmark.prepared import PreparedDataset
from tools.evaluate.benchmark.score import headline, score

DATA = SHARED / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not on this machine")


def _figures(name: str, data: PreparedDataset, folder: Path) -> dict[str, float]:
    model = models(folder)[name]
    return score(model, data, predict(model, data, folder / "answers.jsonl", lambda *_: None)).figures


@pytest.mark.parametrize("name", ["rtmpose-t-lsp14", "rtmpose-t-ap10k-horse"])
def test_a_starter_model_does_what_its_card_states(name: str, tmp_path: Path) -> None:
    data = ours.lsp(DATA / "lsp") if name == "rtmpose-t-lsp14" else ours.horses(DATA / "horse")
    (stated,) = claims(name, data.info.name)
    assert stated.figure == headline(data.info)
    assert _figures(name, data, tmp_path)[stated.figure] == pytest.approx(stated.value, abs=0.01)


def test_people_without_a_keypoint_are_not_asked_about_but_ap_knows_of_them(tmp_path: Path) -> None:
    data = coco.people(DATA / "media")
    assert (len(data), int(data.evaluated.sum())) == (14, 12)
    assert 0.2 < _figures("rtmpose-t-lsp14", data, tmp_path)["AP"] < 0.6
