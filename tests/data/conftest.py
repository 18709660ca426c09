"""One session for each module of tests that asks for it."""

import io
from collections.abc import Iterator

import pyarrow.csv as pacsv
import pytest

import ray_async as ray

# Arrow opens a pipe with its first thread pool, once for the process; it is no test's leak.
pacsv.read_csv(io.BytesIO(b"x\n1\n"))


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with two CPUs."""
    ray.init(num_cpus=2, log_to_driver=False, preload=["pyarrow", "pandas", "pytest"])
    yield
    ray.shutdown()
