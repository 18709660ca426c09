"""Objects whose spill file is lost: what a task made is made again, what was put is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async._core.arena import OVERFLOW
from ray_async.engine.current import get_session
from ray_async.exceptions import ObjectReconstructionFailedError
from tests.resources import wait_until

TIMEOUT_S = 60
INPUT_BYTES, RESULT_BYTES = 200_000, 1_000_000


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """A session in which every large object is spilled at the next look; where the files go."""
    settings = {"object_spilling_threshold": 0.0, "object_spilling_directory": str(tmp_path)}
    with ray.init(num_cpus=1, object_store_memory=100 << 20, _system_config=settings):
        yield tmp_path


@ray.remote
def doubled(numbers: Any, path: str) -> Any:
    """Zeros that begin with the sum of the numbers, twice: two results; each run is noted in a file."""
    with open(path, "a") as file:
        file.write("run\n")
    result = np.zeros(RESULT_BYTES, dtype=np.uint8)
    result[0] = numbers.sum() % 251
    return result, result


def large_files(directory: Path) -> list[Path]:
    """Spill files of results; the sparse file for what finds no room in memory is none."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != OVERFLOW]
    return [path for path in files if path.stat().st_size >= RESULT_BYTES]


def lineage() -> int:
    """Bytes of arguments that the session keeps for finished tasks."""
    return int(get_session().control("statistics")["lineage"])


def test_what_a_task_made_is_made_again_and_its_arguments_count_once(files: Path, tmp_path_factory: Any) -> None:
    runs = tmp_path_factory.mktemp("runs") / "runs"
    numbers = ray.put(np.ones(INPUT_BYTES, dtype=np.uint8))
    first, second = doubled.options(num_returns=2).remote(numbers, str(runs))
    ray.wait([first, second], num_returns=2, timeout=TIMEOUT_S, fetch_local=False)
    wait_until(lambda: lineage() > 0)
    kept = lineage()
    assert INPUT_BYTES <= kept < 2 * INPUT_BYTES
    for n_runs in (2, 3):
        wait_until(lambda: len(large_files(files)) == 2)
        lost = large_files(files)
        for path in lost:
            path.unlink()
        assert [ray.get(ref, timeout=TIMEOUT_S)[0] for ref in (first, second)] == [INPUT_BYTES % 251] * 2
        assert runs.read_text().count("run") == n_runs
        wait_until(lambda: lineage() == kept)  # counted after the results are told of
    del first, second
    wait_until(lambda: lineage() == 0)
    wait_until(lambda: not large_files(files))


def test_without_lineage_nothing_is_made_again(tmp_path: Path) -> None:
    settings = {
        "object_spilling_threshold": 0.0,
        "object_spilling_config": {"type": "filesystem", "params": {"directory_path": [str(tmp_path)]}},
        "lineage_pinning_enabled": False,
    }
    with ray.init(num_cpus=1, object_store_memory=100 << 20, _system_config=settings):
        numbers = ray.put(np.ones(INPUT_BYTES, dtype=np.uint8))
        ref = doubled.options(num_returns=2).remote(numbers, str(tmp_path / "runs"))[0]
        wait_until(lambda: len(large_files(tmp_path)) == 1)
        large_files(tmp_path)[0].unlink()
        with pytest.raises(ObjectReconstructionFailedError, match="lineage_pinning_enabled"):
            ray.get(ref, timeout=TIMEOUT_S)
        assert lineage() == 0


def test_what_was_put_is_gone(files: Path) -> None:
    ref = ray.put(np.ones(RESULT_BYTES, dtype=np.uint8))
    wait_until(lambda: len(large_files(files)) == 1)
    large_files(files)[0].unlink()
    with pytest.raises(ObjectReconstructionFailedError, match=r"\[PUT\]"):
        ray.get(ref, timeout=TIMEOUT_S)
