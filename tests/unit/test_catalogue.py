"""Every bundled card, and the report of an invalid site card."""

from pathlib import Path

import pytest

import engines
from edged.config.tables.models import ModelsConfig
from edged.inference.model_cards import model_cards
from engines.card import Card
from engines.card.schema import SCHEMAS
from engines.card_outline import CardOutline, outlines
from engines.catalogue import HERE, load, read
from engines.errors import CardError

STARTERS = {
    *("det-person-horse", "rtmpose-t-coco17", "rtmpose-t-lsp14", "rtmpose-t-ap10k-horse"),
    *("lift-person-t", "rootnet-person-t"),
}
GOOD = (HERE / "rtmpose-t-lsp14.toml").read_text().replace("rtmpose-t-lsp14", "mine")


def write(directory: Path, text: str, name: str = "mine") -> Path:
    path = directory / f"{name}.toml"
    path.write_text(text)
    return path


def test_every_card_we_ship_is_valid() -> None:
    assert load().keys() >= STARTERS


def test_outlines_say_what_the_cards_say(tmp_path: Path) -> None:
    cards = load()
    classes = {name: card.detect.classes if card.detect else None for name, card in cards.items()}
    schemas = {name: card.pose.schema_name if card.pose else None for name, card in cards.items()}
    assert outlines() == {name: CardOutline(name, cards[name].task, classes[name], schemas[name]) for name in cards}
    write(tmp_path, GOOD)
    assert outlines(tmp_path)["mine"] == CardOutline("mine", "pose", None, "lsp-14")
    assert outlines(tmp_path).keys() == {*cards, "mine"}


@pytest.mark.parametrize("card", load().values(), ids=lambda card: card.name)
def test_simcc_output_length_is_crop_size_times_split(card: Card) -> None:
    if card.pose is None:
        return
    keypoints = len(SCHEMAS[card.pose.schema_name])
    bins = [round(side * card.pose.split) for side in card.input.size_wh]
    assert [output.shape for output in card.outputs] == [(None, keypoints, n) for n in bins]


@pytest.mark.parametrize("name", sorted(STARTERS))
def test_bundled_model_has_the_tensors_of_its_card(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    card = load()[name]
    assert card.source.bundled is not None
    graph = onnx.load(Path(engines.__file__).parent / card.source.bundled).graph
    inputs, outputs = (
        {v.name: tuple(d.dim_value or None for d in v.type.tensor_type.shape.dim) for v in values}
        for values in (graph.input, graph.output)
    )
    card.describes(inputs, outputs)


def test_coco_80_has_the_horse_at_17() -> None:
    from engines.classes import CLASSES

    assert len(set(CLASSES["coco-80"])) == 80
    assert CLASSES["coco-80"].index("horse") == 17
    assert CLASSES["coco-80"].index("giraffe") == 23


def test_site_catalogue_adds_cards(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load(tmp_path).keys() == load().keys() | {"mine"}


def test_site_card_does_not_replace_a_bundled_one(tmp_path: Path) -> None:
    write(tmp_path, (HERE / "det-person-horse.toml").read_text(), "det-person-horse")
    with pytest.raises(CardError, match=r"det-person-horse\.toml.*give yours another name"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"lsp-14"', '"lsp-13"', r"mine\.toml: pose.*lsp-13.*want one of"),
        ("padding = 1.25", "padding = 7", r"mine\.toml: pose\.padding = 7: .*less than or equal to 2"),
        ("padding = 1.25", "paddin = 1.25", r"mine\.toml: pose\.paddin = 1.25: .*not permitted"),
        ('family = "simcc"', "", r"mine\.toml: family: Field required"),
        ('"simcc"', '"yolox"', r"mine\.toml: card: family 'yolox' does not do task 'pose'"),
        ('["*", 14, 384]', '["?", 14, 384]', r"mine\.toml: outputs\.0\.shape\.0 = '\?': "),
        ("sha256 =", "sha256 = 7 #", r"mine\.toml: source\.sha256 = 7: "),
        ("[pose]", "[pose", r"mine\.toml: .*line \d+"),
        ('name = "mine"', 'name = "yours"', r"mine\.toml: name = 'yours': want 'mine'"),
    ],
)
def test_invalid_card_names_file_key_got_and_wanted(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(CardError, match=message):
        read(write(tmp_path, GOOD.replace(old, new, 1)))


def test_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"none: not a directory"):
        load(tmp_path / "none")


def test_starter_weights_are_known_as_such() -> None:
    assert set(model_cards(ModelsConfig()).starter) == set(ModelsConfig().card_names)
    work = ModelsConfig(detector="yolox-s-coco", pose={"horse": "rtmpose-m-ap10k"})
    assert model_cards(work).starter == ()


INT8 = '{"sha256": "%s", "ranges": {"input": 2.5}, "tolerance": {"shift_px": 4.0}}' % ("0" * 64)


@pytest.mark.parametrize(
    ("text", "precisions"), [(None, ("fp16", "fp32")), (INT8, ("int8", "fp16", "fp32"))], ids=["no INT8", "INT8"]
)
def test_int8_lies_beside_its_card(tmp_path: Path, text: str | None, precisions: tuple[str, ...]) -> None:
    write(tmp_path, GOOD)
    if text is not None:
        (tmp_path / "mine.int8.json").write_text(text)
    card = load(tmp_path)["mine"]
    assert card.precisions == precisions
    assert card.in_precision("int8").tolerance.shift_px == (2.0 if text is None else 4.0)
    assert card.in_precision("fp16").tolerance.shift_px == 2.0


@pytest.mark.parametrize("text", ["{", INT8.replace("2.5", "0"), INT8.replace("sha256", "sha")])
def test_damaged_int8_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "mine.int8.json").write_text(text)
    with pytest.raises(CardError, match=r"mine\.int8\.json"):
        load(tmp_path)
