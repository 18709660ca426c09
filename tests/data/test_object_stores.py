"""Files in an object store, a local S3 server: every format, by pyarrow's and by fsspec's file systems."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper

import ray_async as ray
from examples.local_s3 import local_s3
from ray_async.data.sources.filesystem import resolved
from tests.data.test_sink_conformance import CASES, FORMATS, Case

# Arrow's S3 client starts threads with its first use, once for the process; they are no test's leak.
pytestmark = pytest.mark.keeps_resources


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with local_s3("bucket"):
        yield "s3://bucket"


def names(system: pafs.FileSystem, folder: str) -> list[str]:
    selector = pafs.FileSelector(folder, allow_not_found=True, recursive=True)
    return sorted(info.path for info in system.get_file_info(selector) if info.type == pafs.FileType.File)


@FORMATS
def test_what_is_written_comes_back(case: Case, bucket: str) -> None:
    path = f"{bucket}/{case.format.name}"
    case.write(ray.data.from_items(case.rows, override_num_blocks=2), path)
    np.testing.assert_equal(case.read(path).take_all(), case.rows)
    np.testing.assert_equal(case.read(f"{path}/*.{case.format.extension}").take_all(), case.rows)


@FORMATS
def test_a_writer_that_raises_leaves_no_object(case: Case, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{bucket}/failing/{case.format.name}"
    encode = type(case.format).encode
    calls: list[int] = []

    def half(self: Any, table: pa.Table, stream: Any) -> None:
        encode(self, table, stream)
        calls.append(table.num_rows)
        if len(calls) > 1:
            raise RuntimeError("no more")

    monkeypatch.setattr(type(case.format), "encode", half)
    with pytest.raises(RuntimeError, match="no more"):
        case.write(ray.data.from_items(case.rows, override_num_blocks=len(case.rows)), path)
    system, folder = resolved(path)
    assert names(system, folder) == []


def test_fsspec_over_the_store(bucket: str) -> None:
    system, folder = resolved(f"{bucket}/through")
    wrapped = ArrowFSWrapper(system)
    CASES["arrow"].write(ray.data.from_items(CASES["arrow"].rows), folder, filesystem=wrapped)
    assert CASES["arrow"].read(folder, filesystem=wrapped).take_all() == CASES["arrow"].rows
    assert len(names(system, folder)) == 1 and os.environ["AWS_ENDPOINT_URL"]
