#!/usr/bin/env bash
# PyIceberg 0.12.0, PyArrow 26.0.1, Python 3.11.
#
# A table has a column of lists of structs, in which one list is null, one empty. One would expect that a table which takes
# it gives the null back, or refuses it. The null becomes an empty list, already in the Parquet file that `append` writes.
# In a column of lists of integers, and of lists of lists, a null stays null.
#
# Seen:
#   structs: [[{'a': 1}], [], []]      written: [[{'a': 1}], None, []]
#   ints:    [[1], None, []]           written: the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$folder/program.py" <<'PROGRAM'
import glob
import os

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

structs = pa.list_(pa.struct([("a", pa.int64())]))
table = pa.table(
    {
        "structs": pa.array([[{"a": 1}], None, []], structs),
        "ints": pa.array([[1], None, []], pa.list_(pa.int64())),
    }
)
catalog = load_catalog("c", type="sql", uri="sqlite:///catalog.db", warehouse=f"file://{os.getcwd()}")
catalog.create_namespace("d")
target = catalog.create_table("d.t", table.schema)
target.append(table)
(path,) = glob.glob("**/*.parquet", recursive=True)
for name in table.column_names:
    print(name, "written", table[name].to_pylist())
    print(name, "in the file", pq.read_table(path)[name].to_pylist())
    print(name, "read", target.scan().to_arrow()[name].to_pylist())
PROGRAM
mkdir "$folder/run"
cd "$folder/run"
seen=$("$folder/venv/bin/python" -W ignore ../program.py)
printf '%s\n' "$seen"
grep -qF "structs written [[{'a': 1}], None, []]" <<< "$seen"
grep -qF "structs in the file [[{'a': 1}], [], []]" <<< "$seen"
grep -qF "structs read [[{'a': 1}], [], []]" <<< "$seen"
grep -qF "ints in the file [[1], None, []]" <<< "$seen"
grep -qF "ints read [[1], None, []]" <<< "$seen"
echo "as described"
