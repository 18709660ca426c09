"""What trials print and log, in files of their own."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune import FailureConfig, RunConfig
from ray_async.tune.execution.trial_output import log_names
from tests.tune.test_tuner import fit

pytestmark = pytest.mark.usefixtures("session")


def talks(config: dict[str, Any]) -> dict[str, Any]:
    """Says its number on all ways."""
    print("out", config["i"])
    print("err", config["i"], file=sys.stderr)
    logging.getLogger("mine").warning("log %d", config["i"])
    return {"i": config["i"]}


@pytest.mark.parametrize("given", [True, ("o.txt", "e.txt"), "both.txt"])
def test_each_trial_has_its_files(given: Any) -> None:
    grid = fit(talks, {"i": tune.grid_search([0, 1, 2])}, RunConfig(log_to_file=given))
    names = log_names(given)
    assert names is not None and grid.num_errors == 0
    for i, result in enumerate(grid):
        out, err = (Path(result.path, name).read_text() for name in names)
        assert f"out {i}\n" in out and f"err {i}\n" in err and f"log {i}\n" in err
        assert (out == err) == (given == "both.txt")
        assert not any(f"out {other}" in out for other in range(3) if other != i)


def test_a_retry_adds_to_the_files_and_a_failure_is_there(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def fails_once(config: dict[str, Any]) -> dict[str, Any]:
        print("again" if mark.exists() else "first")
        if not mark.exists():
            mark.touch()
            raise ValueError("once")
        return {"x": 1}

    grid = fit(fails_once, {}, RunConfig(log_to_file=True, failure_config=FailureConfig(max_failures=1)))
    assert Path(grid[0].path, "stdout").read_text() == "first\nagain\n"


def test_without_the_option_there_are_none() -> None:
    grid = fit(talks, {"i": 1})
    assert not {"stdout", "stderr"} & {path.name for path in Path(grid[0].path).iterdir()}


@pytest.mark.parametrize("given", [("a",), ("a", ""), 7, ("a", "b", "c")])
def test_what_is_refused(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        log_names(given)
