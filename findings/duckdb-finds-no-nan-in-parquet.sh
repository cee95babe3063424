#!/bin/sh
# DuckDB 2.0.1: which readings are NaN ("not measured") cannot be asked of a Parquet file as pyarrow writes it. The smallest and
# largest value in the file's statistics leave NaN out, as Parquet has it; DuckDB takes them for bounds of all values unless told
# otherwise (can_have_nan=true; the default changed twice, for speed), and concludes that there is no NaN. isnan() finds none,
# = 'nan' none, and max() gives another answer than of the same rows in a table, where NaN is the largest of all. So a
# count of missing readings is 0, whatever is missing, while SELECT shows each of them.
#
# Seen (38, NaN, 39, 38.5, 41, NaN; in a table, in Parquet of pyarrow 26.0.1, the same with can_have_nan, in Parquet of DuckDB):
#   count where isnan(t): 2, 0, 2, 2
#   count where t = 'nan': 2, 0, 2, 2
#   count where t > 41: 2, 0, 2, 2
#   max(t): nan, 41.0, nan, nan
#   count where t::VARCHAR = 'nan': 2, 2, 2, 2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import math
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

readings = pa.table({"t": [38.0, math.nan, 39.0, 38.5, 41.0, math.nan]})
by_pyarrow, by_duckdb = f"{sys.argv[1]}/pyarrow.parquet", f"{sys.argv[1]}/duckdb.parquet"
pq.write_table(readings, by_pyarrow)
duckdb.sql("CREATE TABLE kept AS SELECT * FROM readings")
duckdb.sql(f"COPY kept TO '{by_duckdb}' (FORMAT parquet)")
assert sum(map(math.isnan, pq.read_table(by_pyarrow)["t"].to_pylist())) == 2
for name, query, expected in (
    ("count where isnan(t)", "count(*) FROM {} WHERE isnan(t)", "2, 0, 2, 2"),
    ("count where t = 'nan'", "count(*) FROM {} WHERE t = 'nan'::DOUBLE", "2, 0, 2, 2"),
    ("count where t > 41", "count(*) FROM {} WHERE t > 41", "2, 0, 2, 2"),
    ("max(t)", "max(t) FROM {}", "nan, 41.0, nan, nan"),
    ("count where t::VARCHAR = 'nan'", "count(*) FROM {} WHERE t::VARCHAR = 'nan'", "2, 2, 2, 2"),
):
    told = f"read_parquet('{by_pyarrow}', can_have_nan=true)"
    sources = "kept", f"'{by_pyarrow}'", told, f"'{by_duckdb}'"
    seen = ", ".join(str(duckdb.sql("SELECT " + query.format(source)).fetchall()[0][0]) for source in sources)
    print(f"{name}: {seen}")
    assert seen == expected, expected
PYTHON
