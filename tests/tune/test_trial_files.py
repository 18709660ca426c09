"""Directories of trials: what they hold is read alike on this machine and on a file system of pyarrow."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from ray_async.tune import Result


def made(folder: Path) -> Path:
    folder.mkdir()
    rows: list[dict[str, Any]] = [
        {"a": 1, "training_iteration": 1, "checkpoint_dir_name": "checkpoint_000000"},
        {"a": 2, "training_iteration": 2},
    ]
    (folder / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"a": 3, "trai')
    (folder / "params.pkl").write_bytes(pickle.dumps({"lr": 0.1}))
    (folder / "checkpoint_000000").mkdir()
    (folder / "checkpoint_000000" / "epoch").write_text("1")
    return folder


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_result_is_read_wherever_it_lies(elsewhere: bool, tmp_path: Path) -> None:
    folder = made(tmp_path / "trial")
    system = SubTreeFileSystem(str(tmp_path), LocalFileSystem()) if elsewhere else None
    result = Result.from_path("trial/" if elsewhere else folder, system)
    assert result.metrics == {"a": 2, "training_iteration": 2, "config": {"lr": 0.1}}
    assert result.error is None and list(result.metrics_dataframe["a"]) == [1, 2]
    assert result.checkpoint is not None and result.checkpoint.filesystem is system
    with result.checkpoint.as_directory() as saved:
        assert Path(saved, "epoch").read_text() == "1"
    assert [metrics["a"] for _, metrics in result.best_checkpoints] == [1]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_directory_without_a_result_is_named(elsewhere: bool, tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    system = SubTreeFileSystem(str(tmp_path), LocalFileSystem()) if elsewhere else None
    with pytest.raises(RuntimeError, match=r"no result\.json in .*trial"):
        Result.from_path("trial" if elsewhere else tmp_path / "trial", system)
