"""Text as editors save it: what a person cannot see is named by its code, at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config.characters import decode_secret, invisible
from edged.config.load import load
from edged.errors import ConfigError

TEXT = '[device]\nid = "win"\n[mqtt]\nhost = "127.0.0.1"\n'


def refusal(data: bytes, folder: Path) -> str:
    file = folder / "f.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    return str(caught.value).replace(str(file), "F")


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + TEXT.encode(), TEXT.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends_are_taken(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(data)
    assert load(tmp_path / "f.toml", env={}).mqtt.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (TEXT.encode("utf-16"), "F:1: is a UTF-16 text; save it as UTF-8"),
        (TEXT.encode("utf-16-be"), "F:1: is a UTF-16 text; save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "F:1: is a UTF-16 text; save it as UTF-8"),
        (TEXT.encode("utf-32"), "F:1: is a UTF-32 text; save it as UTF-8"),
        (TEXT.encode("utf-32-be"), "F:1: is a UTF-32 text; save it as UTF-8"),
        (b"PK\x03\x04\x14\0" + bytes(90), "F:1: is a document of a word processor; "),
        ((TEXT + "keepalive_s = 2,5\n").encode(), "F:5: a number is written with a point "),
        (TEXT.replace("\n", "\r").encode(), "F:1: its lines end with U+000D (carriage return) alone; "),
        (TEXT.replace('"127.0.0.1"', "“127.0.0.1”").encode(), "F:4: U+201C “ is a typographic quote; "),
        (TEXT.replace('.1"', ".1”").encode(), "F:4: U+201D ” is a typographic quote; "),
        (TEXT.replace("host", "\u00a0host").encode(), "F:4: U+00A0 (no-break space) is invisible; "),
        (TEXT.replace("host", "ho\u200bst").encode(), "F:4: U+200B (zero width space) is invisible; "),
        (TEXT.replace("[mqtt]", "\ufeff[mqtt]").encode(), "F:3: U+FEFF (zero width no-break space) is invisible; "),
        (TEXT.replace("host =", "host ＝").encode(), "F:4: U+FF1D ＝ cannot stand here; "),
        ((TEXT + 'password = "hunter2\\n"\n').encode(), "F:5 mqtt.password = ***: has U+000A (control character)"),
        (TEXT.replace('.1"', '.1\u200b"').encode(), 'F:4 mqtt.host = "127.0.0.1\u200b": has U+200B (zero width space)'),
    ],
    ids=[
        *(
            "UTF-16",
            "big endian",
            "no mark",
            "UTF-32",
            "UTF-32 without mark",
            "a document",
            "decimal comma",
            "CR",
            "opening quote",
            "closing quote",
            "no-break space",
            "zero width",
        ),
        *("mark inside", "wide sign", "line break in a secret", "in a value"),
    ],
)
def test_hidden_fault_is_named_at_its_line(data: bytes, want: str, tmp_path: Path) -> None:
    assert refusal(data, tmp_path).startswith(want)


def test_display_name_may_have_any_character(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text('device.name = "👨\u200d🌾"', "utf-8")
    assert load(tmp_path / "f.toml", env={}).device.name == "👨\u200d🌾"


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfsecret\r\n", b"secret", b"secret\n", b"secret\r\n\r\n"])
def test_secret_is_the_line_without_marks_and_line_ends(data: bytes) -> None:
    assert decode_secret(data, "F") == "secret"


def test_spaces_of_a_secret_are_part_of_it() -> None:
    assert decode_secret(b" a b \n", "F") == " a b "


@pytest.mark.parametrize(
    ("data", "want"),
    [
        ("hunter2\n".encode("utf-16"), "F: is a UTF-16 text; save it as UTF-8"),
        (b"hunter2\nhunter3\n", "F: has more than one line; write the secret alone, on one line"),
        (b"hunter2\x00\n", "F: has U+0000 (control character), which is invisible; delete it"),
        ("hunter2\u200b".encode(), "F: has U+200B (zero width space), which is invisible; delete it"),
        (b"hunter2\xff", "F: not UTF-8; save it as UTF-8 text"),
    ],
)
def test_secret_that_is_no_line_of_text_is_refused_without_showing_it(data: bytes, want: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_secret(data, "F")
    assert str(caught.value) == want


def test_text_of_visible_characters_has_no_fault() -> None:
    assert invisible("Stall Müller – Nr. 3") is None
