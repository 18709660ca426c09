"""The Data program on files on disk and in a local S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from examples.local_s3 import local_s3

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "examples.ray_data", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts() -> pa.Table:
    return pa.table({"text": ["x" * length for length in range(100)]})


def test_on_disk(tmp_path: Path) -> None:
    pq.write_table(texts(), tmp_path / "a.parquet")
    pq.write_table(texts(), tmp_path / "b.parquet")
    assert run(str(tmp_path), str(tmp_path / "out")) == "Processed 98 records\n"
    found = pq.read_table(tmp_path / "out")
    assert found.num_rows == 98 and set(found.column_names) == {"text", "text_length"}


@pytest.mark.keeps_resources  # the threads of AWS's library last as long as the process
def test_in_a_bucket() -> None:
    with local_s3("my-bucket"):
        store, path = pafs.FileSystem.from_uri("s3://my-bucket/data")
        for name in ("a", "b"):
            with store.open_output_stream(f"{path}/{name}.parquet") as stream:
                pq.write_table(texts(), stream)
        assert run() == "Processed 98 records\n"
        files = store.get_file_info(pafs.FileSelector("my-bucket/processed"))
        assert sum(pq.read_table(file.path, filesystem=store).num_rows for file in files) == 98
    assert "AWS_ENDPOINT_URL" not in os.environ
