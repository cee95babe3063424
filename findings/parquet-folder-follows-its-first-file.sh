#!/bin/sh
# pyarrow 26.0.1: read_table of a folder takes the columns and types of the file whose name comes first, and makes all
# others fit. A column that came with a newer version of the writer is left out, of structures inside lists too; decimals
# of later files are cut to the first one's float32; and if a column was empty all through the first file (a quiet day),
# nothing of the folder can be read. All without a warning but the last, and the same files under other names are read
# whole. read_table(folder, schema=unify_schemas(every file's schema, promote_options="permissive")) mends it.
#
# Seen (two files; what read_table gives of the second):
#   a new column: {'x': 2}
#   a new field in a list of structures: {'people': [{'id': 2}]}
#   float32, then float64: {'x': 1.1234568357467651}
#   nothing measured in the first: ArrowNotImplementedError
#   the same two, named the other way round: {'note': 'door open'}
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

OLD, NEW = {"note": [None, None]}, {"note": ["door open"]}
CASES = {
    "a new column": (pa.table({"x": [1]}), pa.table({"x": [2], "y": [3]}), "12"),
    "a new field in a list of structures": (
        pa.Table.from_pylist([{"people": [{"id": 1}]}]),
        pa.Table.from_pylist([{"people": [{"id": 2, "score": 0.5}]}]),
        "12",
    ),
    "float32, then float64": (
        pa.table({"x": pa.array([0.5], pa.float32())}),
        pa.table({"x": pa.array([1.123456789], pa.float64())}),
        "12",
    ),
    "nothing measured in the first": (pa.table(OLD), pa.table(NEW), "12"),
    "the same two, named the other way round": (pa.table(OLD), pa.table(NEW), "21"),
}
seen = []
for name, (first, second, order) in CASES.items():
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as files:
        for place, table in zip(order, (first, second), strict=True):
            pq.write_table(table, f"{files}/{place}.parquet")
        try:
            rows = pq.read_table(files).to_pylist()
            seen.append(rows[0 if order == "21" else -1])
        except pa.ArrowNotImplementedError as error:
            seen.append(type(error).__name__)
    print(f"{name}: {seen[-1]}")
assert seen[:2] == [{"x": 2}, {"people": [{"id": 2}]}], seen
assert 0 < abs(seen[2]["x"] - 1.123456789) < 1e-6, seen
assert seen[3:] == ["ArrowNotImplementedError", {"note": "door open"}], seen
PYTHON
