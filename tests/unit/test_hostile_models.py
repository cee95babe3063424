"""Archives and ONNX files by somebody who means harm: refused by name, with nothing written elsewhere, and no crash."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.store.archive import extract
from engines.store.onnx_wire import NotWhole, external_data

INPUTS = 240
MEMBER = "end2end.onnx"
MAX_BYTES = 4096


def archive(rng: random.Random) -> bytes:
    """A whole archive, with hostile names, kinds and sizes."""
    out = io.BytesIO()
    names = [MEMBER, f"a/{MEMBER}", f"../../{MEMBER}", f"/etc/{MEMBER}", f"..\\{MEMBER}", "\x00.onnx", "x" * 300]
    method = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(out, "w", method) as files:
        for name in rng.sample(names, rng.randrange(1, 4)):
            info = zipfile.ZipInfo(name)
            info.external_attr = rng.choice([0, 0o120777 << 16, 0o010644 << 16])  # a link, a pipe
            files.writestr(info, rng.choice([b"", b"/etc/passwd", rng.randbytes(900), bytes(9000)]), method)
    return out.getvalue()


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Some bytes changed, mostly in the tables at the end; or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = (
            len(changed) - 1 - rng.randrange(min(len(changed), 120))
            if rng.random() < 0.7
            else rng.randrange(len(changed))
        )
        changed[at] = rng.choice([0, 0xFF, 0x80, rng.randrange(256)])
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archive_is_refused_or_gives_one_bounded_file(tmp_path: Path) -> None:
    rng = random.Random(22)
    store = tmp_path / "store"
    store.mkdir()
    refused = 0
    for _ in range(INPUTS):
        data = archive(rng)
        (tmp_path / "model.zip").write_bytes(damaged(rng, data) if rng.random() < 0.8 else data)
        out = store / "model.onnx"
        try:
            extract(tmp_path / "model.zip", MEMBER, out, MAX_BYTES)
            assert out.stat().st_size <= MAX_BYTES
        except EngineError:
            refused += 1
        out.unlink(missing_ok=True)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["model.zip", "store"]
    assert 0 < refused < INPUTS


def field(number: int, data: bytes | int) -> bytes:
    """One field of a protobuf message."""
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


ENTRY = field(1, b"location") + field(2, b"../../etc/passwd")
TENSOR = field(1, 4) + field(8, b"w") + field(9, bytes(16))
OUTSIDE = TENSOR + field(13, ENTRY)
PLACES: dict[str, Callable[[bytes], bytes]] = {
    "initializer": lambda tensor: field(7, field(5, tensor)),
    "sparse": lambda tensor: field(7, field(15, field(1, tensor))),
    "attribute": lambda tensor: field(7, field(1, field(5, field(5, tensor)))),
    "branch": lambda tensor: field(7, field(1, field(5, field(6, field(5, tensor))))),
    "list": lambda tensor: field(7, field(1, field(5, field(10, tensor)))),
    "function": lambda tensor: field(25, field(7, field(5, field(5, tensor)))),
    "default of a function": lambda tensor: field(25, field(11, field(5, tensor))),
    "training": lambda tensor: field(20, field(1, field(5, tensor))),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_a_second_file_are_found_wherever_they_are(place: str) -> None:
    assert external_data(field(1, 8) + PLACES[place](TENSOR)) is None
    assert external_data(field(1, 8) + PLACES[place](OUTSIDE)) == "../../etc/passwd"


@pytest.mark.parametrize(
    "mark",
    [
        field(13, field(2, b"w.data") + field(1, b"location")),
        field(13, field(1, b"offset") + field(2, b"0")),
        field(14, 1),
        b"\xf2\x00" + varint(0),
    ],
    ids=["value first", "offset alone", "location alone", "number with another type"],
)
def test_weights_in_a_second_file_are_found_however_it_is_written(mark: bytes) -> None:
    assert external_data(field(7, field(5, TENSOR + mark))) is not None


def test_hostile_onnx_file_is_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(22)
    models = [field(1, 8) + make(tensor) for make in PLACES.values() for tensor in (TENSOR, OUTSIDE)]
    refused = 0
    for _ in range(INPUTS):
        data = damaged(rng, rng.choice(models)) if rng.random() < 0.8 else rng.randbytes(rng.randrange(200))
        try:
            external_data(data)
        except NotWhole:
            refused += 1
    assert 0 < refused < INPUTS


def test_deep_onnx_file_costs_no_stack() -> None:
    tensor = OUTSIDE
    model = field(5, tensor)
    for _ in range(3000):
        model = field(1, field(5, field(6, model)))
    assert external_data(field(7, model)) == "../../etc/passwd"
