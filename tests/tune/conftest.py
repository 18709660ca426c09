"""One session for each module of tests; results go to a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_async as ray


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with four CPUs."""
    ray.init(num_cpus=4, log_to_driver=False, preload=["pytest"])
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results lie in the test's folder, unless a test says otherwise."""
    monkeypatch.setenv("TUNE_STORAGE_PATH", str(tmp_path / "results"))
    return tmp_path / "results"
