"""The Data program on real input: the docstrings of the standard library, in a local S3 bucket and on disk.

python -m examples.data_demo [--copies N]

It writes the texts as 16 Parquet files to both, runs `examples.ray_data` on them, and for comparison the same work in
one process of pandas.
"""

import argparse
import ast
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from examples.local_s3 import local_s3

BUCKET = "my-bucket"
FILES = 16


def docstrings() -> pa.Table:
    """The docstrings of the standard library's modules, classes and functions, with the file and name of each."""
    root = Path(sysconfig.get_path("stdlib"))
    rows = []
    for path in sorted(root.glob("*.py")) + sorted(root.glob("[a-z]*/*.py")):
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    name = getattr(node, "name", path.stem)
                    rows.append({"file": str(path.relative_to(root)), "name": name, "text": text.split("\n")[0]})
    return pa.Table.from_pylist(rows)


def write(table: pa.Table, filesystem: pafs.FileSystem, folder: str) -> None:
    size = -(-table.num_rows // FILES)
    for index in range(FILES):
        with filesystem.open_output_stream(f"{folder}/part-{index:02d}.parquet") as stream:
            pq.write_table(table.slice(index * size, size), stream)


def with_pandas(folder: Path, target: Path) -> int:
    """The same work in this process alone."""
    target.mkdir()
    count = 0
    for path in sorted(folder.glob("*.parquet")):
        batch = pd.read_parquet(path)
        batch["text_length"] = [len(text) for text in batch["text"]]
        kept = batch[[length > 50 for length in batch["text_length"]]]
        kept.to_parquet(target / path.name)
        count += len(kept)
    return count


def run(source: str, target: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "examples.ray_data", source, target], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20, help="how often the texts are repeated")
    copies = parser.parse_args().copies
    texts = docstrings()
    table = pa.concat_tables([texts] * copies).combine_chunks()
    print(f"{table.num_rows:,} texts, {table.nbytes >> 20} MiB")
    with tempfile.TemporaryDirectory() as folder, local_s3(BUCKET):
        source = Path(folder, "data")
        source.mkdir()
        write(table, pafs.LocalFileSystem(), str(source))
        store, path = pafs.FileSystem.from_uri(f"s3://{BUCKET}/data")
        write(table, store, path)
        began = time.perf_counter()
        count = with_pandas(source, Path(folder, "pandas"))
        print(f"one pandas process: {count:,} records in {time.perf_counter() - began:.1f} s")
        print(f"from disk, with start-up: {run(str(source), str(Path(folder, 'processed'))):.1f} s")
        print(f"from S3, with start-up: {run(f's3://{BUCKET}/data/', f's3://{BUCKET}/processed/'):.1f} s")
        found = store.get_file_info(pafs.FileSelector(f"{BUCKET}/processed"))
        print(f"{len(found)} files in s3://{BUCKET}/processed/")


if __name__ == "__main__":
    main()
