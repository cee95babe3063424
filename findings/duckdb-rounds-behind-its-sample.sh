#!/bin/sh
# DuckDB 2.0.1 finds the type of a JSON or CSV column by its first rows (20480), of many JSON files by the first 32. If all
# numbers there are whole, as temperatures are that a device sends without ".0", the column is BIGINT, and what comes later
# is made to fit: 21.7 becomes 22, without a word. Texts and new keys there are an error, so that one trusts that the rest
# has been checked. polars 2.1.0, read_json, does it with whole numbers at the start too and cuts: 21.7 becomes 21; its
# readers of CSV and of JSON by lines refuse the file. pyarrow 26.0.1 reads 21.7.
#
# Seen (many readings of 21, then one of 21.7; what is read of it):
#   DuckDB, JSON by lines: 22
#   DuckDB, CSV: 22
#   DuckDB, 40 files of JSON, 21.7 in the last: 22
#   polars, JSON: 21
#   polars, JSON by lines: ComputeError
#   pyarrow, JSON by lines: 21.7
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.json

ROWS = [{"t": 21}] * 20500 + [{"t": 21.7}]
folder = Path(sys.argv[1])
lines, array, table, files = folder / "lines.json", folder / "array.json", folder / "table.csv", folder / "files"
lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
array.write_text(json.dumps(ROWS))
table.write_text("t\n" + "".join(f"{row['t']}\n" for row in ROWS))
files.mkdir()
for number in range(40):
    (files / f"{number:02}.json").write_text(json.dumps(ROWS[-1] if number == 39 else ROWS[0]) + "\n")


def largest(source: str) -> float:
    return duckdb.sql(f"SELECT max(t) FROM {source}").fetchall()[0][0]


def same(name: str, seen: object, expected: object) -> None:
    print(f"{name}: {seen}")
    assert seen == expected, expected


same("DuckDB, JSON by lines", largest(f"read_json('{lines}')"), 22)
same("DuckDB, CSV", largest(f"read_csv('{table}')"), 22)
same("DuckDB, 40 files of JSON, 21.7 in the last", largest(f"read_json('{files}/*.json')"), 22)
same("polars, JSON", polars.read_json(array)["t"][-1], 21)
try:
    polars.read_ndjson(lines)
    raise SystemExit("polars, JSON by lines: no error")
except polars.exceptions.ComputeError as error:
    same("polars, JSON by lines", type(error).__name__, "ComputeError")
same("pyarrow, JSON by lines", pyarrow.json.read_json(lines)["t"][-1].as_py(), 21.7)
PYTHON
