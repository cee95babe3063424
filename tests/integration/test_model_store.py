"""The model store: which files it accepts, and that a rejected one changes nothing."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.card import Card
from engines.catalogue import load
from engines.errors import CardError, EngineError, Missing, SourceError, StoreError, WrongHash
from engines.store import disk
from engines.store.disk import copy
from engines.store.model_store import ModelStore

onnx = pytest.importorskip("onnx")


def model(note: str, keypoints: int = 14) -> bytes:
    """A tiny ONNX file that fits `card`; another note makes another file."""
    from onnx.helper import make_graph, make_model, make_tensor_value_info

    shapes: dict[str, list[int | str]] = {
        "input": ["n", 3, 8, 6],
        "simcc_x": ["n", keypoints, 12],
        "simcc_y": ["n", keypoints, 16],
    }
    tensors = [make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    return bytes(make_model(make_graph([], note, tensors[:1], tensors[1:])).SerializeToString())


ONE, TWO = model("one"), model("two" * 1000)


def card(**source: Any) -> Card:
    return Card.model_validate(
        {
            "name": "tiny",
            "summary": "",
            "licence": "",
            "task": "pose",
            "family": "simcc",
            "source": {"page": "https://example.org", **source},
            "input": {"name": "input", "size_wh": (6, 8), "colour": "rgb", "fit": "crop", "pad": 0},
            "outputs": [{"name": "simcc_x", "shape": ("*", 14, 12)}, {"name": "simcc_y", "shape": ("*", 14, 16)}],
            "pose": {"schema": "lsp-14"},
        }
    )


def served(directory: Path, content: bytes, name: str = "model.onnx", **source: Any) -> Card:
    """A card whose address is a file of this content."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(content)
    return card(url=f"file://{directory / name}", **source)


def zipped(path: Path, names: list[str], content: bytes = ONE) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as files:
        for name in names:
            files.writestr(name, content)
    return path.read_bytes()


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


@pytest.fixture
def away(tmp_path: Path) -> Path:
    return tmp_path / "away"


def contents(tmp_path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(tmp_path)): p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file()}


def test_bundled_model_needs_no_store(store: ModelStore, tmp_path: Path) -> None:
    for name in ("det-person-horse", "rtmpose-t-coco17", "rtmpose-t-lsp14", "rtmpose-t-ap10k-horse"):
        bundled = load()[name]
        assert store.path(bundled) == store.pull(bundled).path
        assert store.verify(bundled).described
    assert not (tmp_path / "store").exists()


def test_damaged_bundled_model_is_rejected_and_not_fetched(store: ModelStore) -> None:
    bundled = load()["rtmpose-t-lsp14"]
    damaged = bundled.model_copy(update={"source": bundled.source.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(WrongHash, match="reinstall the package"):
        store.pull(damaged)


def test_missing_model_is_reported_with_the_command_to_get_it(store: ModelStore, away: Path) -> None:
    with pytest.raises(Missing, match=r"model tiny is not in .*store; run `edged models pull tiny`"):
        store.path(served(away, ONE))


def test_pinned_model_is_pulled_and_verified(store: ModelStore, away: Path) -> None:
    pinned = served(away, ONE, sha256=digest(ONE))
    verdict = store.pull(pinned)
    assert store.path(pinned) == verdict.path
    assert verdict.path.read_bytes() == ONE
    assert (verdict.trust, verdict.described) == ("pinned", True)


def test_wrong_hash_names_both_and_stores_nothing(store: ModelStore, away: Path, tmp_path: Path) -> None:
    pinned = served(away, TWO, sha256=digest(ONE))
    with pytest.raises(WrongHash, match=f"{digest(TWO)}.*pins {digest(ONE)}"):
        store.pull(pinned)
    assert contents(tmp_path).keys() == {"store/.lock"}


def test_first_hash_of_an_unpinned_model_is_kept(store: ModelStore, away: Path, tmp_path: Path) -> None:
    assert store.pull(served(away, ONE)).trust == "recorded"
    (tmp_path / "store/tiny.onnx").unlink()
    before = contents(tmp_path)
    with pytest.raises(WrongHash, match=f"{digest(TWO)}.*first recorded was {digest(ONE)}.*--replace"):
        store.pull(served(away, TWO))
    assert contents(tmp_path) == before


def test_model_changed_on_disk_is_rejected_until_pulled_again(store: ModelStore, away: Path, tmp_path: Path) -> None:
    unpinned = served(away, ONE)
    store.pull(unpinned)
    (tmp_path / "store/tiny.onnx").write_bytes(TWO)
    with pytest.raises(WrongHash, match="edged models pull tiny"):
        store.path(unpinned)
    assert store.pull(unpinned).path.read_bytes() == ONE


def test_unrecorded_file_in_the_store_is_not_trusted(store: ModelStore, away: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/tiny.onnx").write_bytes(ONE)
    with pytest.raises(Missing, match="never recorded"):
        store.path(served(away, ONE))


def test_stored_model_is_not_fetched_again(store: ModelStore, away: Path) -> None:
    unpinned = served(away, ONE)
    store.pull(unpinned)
    (away / "model.onnx").unlink()
    assert store.pull(unpinned).path.read_bytes() == ONE


def test_mirror_comes_before_the_address(tmp_path: Path, away: Path) -> None:
    (mirror := tmp_path / "mirror").mkdir()
    (mirror / "model.onnx").write_bytes(ONE)
    unpinned = served(away, TWO)
    assert ModelStore(tmp_path / "store", mirror).pull(unpinned).path.read_bytes() == ONE
    assert (mirror / "model.onnx").read_bytes() == ONE


def test_mirror_may_name_files_after_cards(tmp_path: Path) -> None:
    (mirror := tmp_path / "mirror").mkdir()
    (mirror / "tiny.onnx").write_bytes(ONE)
    assert ModelStore(tmp_path / "store", mirror).pull(card(export="export it")).path.read_bytes() == ONE


def test_missing_mirror_is_named(tmp_path: Path, away: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: the mirror is not there"):
        ModelStore(tmp_path / "store", tmp_path / "nowhere").pull(served(away, ONE))


@pytest.mark.parametrize("name", ["end2end.onnx", "20230831/rtmpose_onnx/some-model/end2end.onnx"])
def test_model_is_found_in_a_zip_at_any_depth(store: ModelStore, away: Path, tmp_path: Path, name: str) -> None:
    packed = zipped(tmp_path / "a.zip", ["detail.json", name])
    assert store.pull(served(away, packed, "model.zip", member="end2end.onnx")).path.read_bytes() == ONE
    assert sorted(contents(tmp_path)) == ["store/.lock", "store/recorded.json", "store/tiny.onnx"]


def test_paths_in_a_zip_are_ignored(store: ModelStore, away: Path, tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", ["../../../evil/end2end.onnx"])
    store.pull(served(away, packed, "model.zip", member="end2end.onnx"))
    assert not list(tmp_path.parent.rglob("evil"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["other.onnx"], "holds 0 files called end2end.onnx"),
        (["a/end2end.onnx", "b/end2end.onnx"], "holds 2 files"),
    ],
    ids=["none", "two"],
)
def test_zip_without_exactly_one_model_is_rejected(
    store: ModelStore, away: Path, tmp_path: Path, names: list[str], message: str
) -> None:
    packed = zipped(tmp_path / "a.zip", names)
    with pytest.raises(SourceError, match=message):
        store.pull(served(away, packed, "model.zip", member="end2end.onnx"))
    assert contents(tmp_path).keys() == {"store/.lock"}


def test_zip_bomb_is_not_unpacked(store: ModelStore, away: Path, tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", ["end2end.onnx"], bytes(1 << 24))
    with pytest.raises(SourceError, match=r"0\.0 MB packed, 16\.8 MB unpacked, which no model is"):
        store.pull(served(away, packed, "model.zip", member="end2end.onnx"))


@pytest.mark.parametrize("zip_it", [False, True], ids=["file", "zip"])
def test_model_whose_weights_are_in_a_second_file_is_refused_everywhere(
    store: ModelStore, tmp_path: Path, *, zip_it: bool
) -> None:
    whole = onnx.load_model_from_string(ONE)
    whole.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(300, np.float32), "w"))
    split = tmp_path / "split.onnx"
    onnx.save_model(whole, split, save_as_external_data=True, size_threshold=0, location="split.data")
    file = split
    if zip_it:
        file = tmp_path / "split.zip"
        zipped(file, ["end2end.onnx"], split.read_bytes())
    with pytest.raises(CardError, match=r"tiny: its weights are in a second file, 'split\.data', .*import whole\.onnx"):
        store.import_(card(export="by hand"), file)
    assert contents(tmp_path).keys() & {"store/tiny.onnx", "store/recorded.json"} == set()
    pinned = card(export="by hand", sha256=digest(split.read_bytes()))
    (tmp_path / "store").mkdir(exist_ok=True)
    copy(split, tmp_path / "store/tiny.onnx", 1 << 20)
    with pytest.raises(CardError, match="second file"):
        store.verify(pinned)
    whole_file = tmp_path / "whole.onnx"
    onnx.save(onnx.load(split), whole_file)
    assert store.import_(card(export="by hand"), whole_file).described


def test_truncated_zip_is_rejected(store: ModelStore, away: Path, tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", ["end2end.onnx"])[:-30]
    with pytest.raises(SourceError, match="not a whole"):
        store.pull(served(away, packed, "model.zip", member="end2end.onnx"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><title>Sign in to this network</title>", "not an ONNX file, it starts with b'<!DOC"),
        (ONE[:-20], "not a whole ONNX file"),
        (model("other", keypoints=17), r"'simcc_x' is \(None, 17, 12\), the card says \(None, 14, 12\)"),
        (b"", "not an ONNX file"),
    ],
    ids=["web page", "torn", "another model", "empty"],
)
def test_file_that_does_not_match_the_card_is_not_recorded(
    store: ModelStore, away: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(CardError, match=message):
        store.pull(served(away, content))
    assert contents(tmp_path).keys() == {"store/.lock"}


def test_model_is_not_described_without_onnx(store: ModelStore, away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert not store.pull(served(away, model("other", keypoints=17))).described


def test_import_replaces_a_recorded_model_only_with_replace(store: ModelStore, tmp_path: Path) -> None:
    own = card(export="export it")
    (one := tmp_path / "one.onnx").write_bytes(ONE)
    (two := tmp_path / "two.onnx").write_bytes(TWO)
    assert store.import_(own, one).trust == "recorded"
    with pytest.raises(WrongHash, match="--replace"):
        store.import_(own, two)
    assert store.path(own).read_bytes() == ONE
    store.import_(own, two, replace=True)
    assert store.path(own).read_bytes() == TWO
    assert one.exists()


def test_no_import_replaces_a_pin(store: ModelStore, away: Path) -> None:
    pinned = served(away, TWO, sha256=digest(ONE))
    with pytest.raises(WrongHash, match="pins"):
        store.import_(pinned, away / "model.onnx", replace=True)


def test_file_that_grows_while_it_is_copied_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = tmp_path / "growing"
    growing.write_bytes(b"x")
    monkeypatch.setattr(disk, "check_free_space", lambda *_: growing.write_bytes(bytes(3000)))
    with pytest.raises(SourceError, match="at most"):
        copy(growing, tmp_path / "copied", 2000)


def test_import_of_a_missing_file_is_named(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"gone\.onnx: No such file"):
        store.import_(card(export="export it"), tmp_path / "gone.onnx")


def test_card_without_download_names_export_and_import(store: ModelStore) -> None:
    with pytest.raises(SourceError) as caught:
        store.pull(load()["rtmdet-m-coco"])
    for step in (
        "get CHECKPOINT from https://",
        "python -m tools.export rtmdet",
        "`edged models import rtmdet-m-coco FILE`",
    ):
        assert step in str(caught.value)


def test_store_locked_by_another_process_is_not_changed(store: ModelStore, away: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with (tmp_path / "store/.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another process is changing the store"):
            store.pull(served(away, ONE))


def test_damaged_records_are_named_and_kept(store: ModelStore, away: Path, tmp_path: Path) -> None:
    unpinned = served(away, ONE)
    store.pull(unpinned)
    (tmp_path / "store/recorded.json").write_text('{"tiny": "12')
    with pytest.raises(StoreError, match=r"recorded\.json: Invalid JSON.*restore it"):
        store.path(unpinned)


def test_store_path_below_a_file_is_named(tmp_path: Path, away: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/store: Not a directory"):
        ModelStore(tmp_path / "file/store").pull(served(away, ONE))


def test_full_disk_leaves_the_store_unchanged(store: ModelStore, away: Path, tmp_path: Path) -> None:
    """The kernel refuses files over 1000 bytes, in a process of its own."""
    store.pull(served(away, ONE))
    before = contents(tmp_path)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from engines.card import Card; from engines.store.model_store import ModelStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "ModelStore(Path(sys.argv[1])).pull(Card.model_validate_json(sys.argv[2]))"
    )
    changed = served(away, TWO, sha256=digest(TWO)).model_dump_json(by_alias=True)
    run = [sys.executable, "-c", code, str(tmp_path / "store"), changed]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert "StoreError" in ended.stderr.splitlines()[-1]
    assert "disk full" in ended.stderr.splitlines()[-1]
    assert contents(tmp_path) == before


def test_enospc_is_reported_as_a_full_disk(tmp_path: Path) -> None:
    (file := tmp_path / "one.onnx").write_bytes(ONE)
    with pytest.raises(StoreError, match=r"/dev/full: disk full \(No space left on device\)"):
        copy(file, Path("/dev/full"), 1 << 20)


def test_entries_give_the_state_without_hashing(store: ModelStore, away: Path, tmp_path: Path) -> None:
    unpinned = served(away, ONE)
    assert [e.state for e in store.entries([unpinned])] == ["missing"]
    store.pull(unpinned)
    (tmp_path / "store/tiny.onnx").write_bytes(b"changed")
    (entry,) = store.entries([unpinned])
    assert (entry.state, entry.trust, entry.bytes) == ("stored", "recorded", 7)


def test_every_store_error_is_an_engine_error() -> None:
    assert issubclass(WrongHash, SourceError)
    assert all(issubclass(kind, EngineError) for kind in (CardError, Missing, SourceError, StoreError))
