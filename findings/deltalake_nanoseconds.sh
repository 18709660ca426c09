#!/usr/bin/env bash
# deltalake 1.6.6, PyArrow 26.0.1, Python 3.11.
#
# A table has times in nanoseconds. Delta's times have microseconds, so one would expect an error, as of PyArrow's cast
# ("would lose data"), or times rounded alike. `write_deltalake` writes them without a word, and cuts towards 1970: a time
# before it becomes later, one after it earlier, so that times on both sides of 1970 become equal.
#
# Seen, in microseconds: -1999 ns, -1 ns, 1 ns, 1999 ns become -1, 0, 0, 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
cat > "$folder/program.py" <<'PROGRAM'
import deltalake
import pyarrow as pa

times = pa.table({"t": pa.array([-1999, -1, 1, 1999], pa.timestamp("ns"))})
deltalake.write_deltalake("table", times)
found = deltalake.DeltaTable("table").to_pyarrow_table()["t"]
print(found.type, found.cast(pa.int64()).to_pylist())
try:
    times["t"].cast(pa.timestamp("us"))
except pa.ArrowInvalid as error:
    print("PyArrow:", error)
PROGRAM
cd "$folder"
seen=$("$folder/venv/bin/python" program.py)
printf '%s\n' "$seen"
grep -qF 'timestamp[us] [-1, 0, 0, 1]' <<< "$seen"
grep -qF 'would lose data' <<< "$seen"
echo "as described"
