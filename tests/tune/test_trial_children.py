"""Children of trials, silent trials, and states of callbacks."""

import logging
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune import Callback, RunConfig, Tuner
from ray_async.tune.execution.trial_children import children, end_children
from tests.resources import wait_until
from tests.tune.test_tuner import fit

pytestmark = pytest.mark.usefixtures("session")


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def test_children_end_with_their_own_children() -> None:
    before = children()
    with subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert end_children(before) == [child.pid]
        assert not alive(child.pid)
    for _ in range(1000):
        if not alive(grandchild):
            break
        time.sleep(0.01)
    assert not alive(grandchild) and children() == before


@pytest.mark.parametrize("how", ["return", "raise", "stop", "kill"])
def test_what_a_trial_leaves_behind_is_gone_when_the_next_one_begins(how: str, tmp_path: Path) -> None:
    def leaves(config: dict[str, Any]) -> None:
        earlier = [int(pid) for pid in Path(config["list"]).read_text().split()] if config["i"] else []
        living = [pid for pid in earlier if os.path.exists(f"/proc/{pid}")]
        child = subprocess.Popen(["sleep", "1000"])
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        worker.start()
        with open(config["list"], "a") as file:
            file.write(f"{child.pid} {worker.pid} ")
        tune.report({"living": living, "earlier": len(earlier)})
        if config["how"] == "raise":
            raise ValueError("on purpose")
        if config["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while config["how"] == "stop":
            tune.report({"living": living, "earlier": len(earlier)})

    notes = tmp_path / "pids"
    run = RunConfig(stop={"training_iteration": 3})
    space = {"i": tune.grid_search([0, 1]), "how": how, "list": str(notes)}
    grid = fit(leaves, space, run, max_concurrent_trials=1)
    assert [(result.metrics["living"], result.metrics["earlier"]) for result in grid] == [([], 0), ([], 2)]
    # Those of the last trial are killed when its worker's death is seen, which may be after the search's end.
    wait_until(lambda: not [pid for pid in notes.read_text().split() if alive(int(pid))])


def test_a_trial_that_says_nothing_is_named_with_its_stack(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "has said nothing" in record.getMessage():
                go.touch()

    def waits(config: dict[str, Any]) -> dict[str, Any]:
        def wait_for_the_mark() -> None:
            while not go.exists():
                time.sleep(0.005)

        wait_for_the_mark()
        return {"x": 1}

    monkeypatch.setenv("TUNE_WARN_SILENT_TRIAL_S", "0.1")
    logger = logging.getLogger("ray_async.tune")
    logger.addHandler(handler := Release())
    try:
        (result,) = fit(waits)
    finally:
        logger.removeHandler(handler)
    assert result.metrics["x"] == 1
    (text,) = [record.getMessage() for record in caplog.records if "has said nothing" in record.getMessage()]
    assert "waits_" in text and "wait_for_the_mark" in text


class Counting(Callback):
    """Counts results over all runs of a search."""

    def __init__(self) -> None:
        self.count = 0

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self.count += 1

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


def test_callbacks_go_on_with_the_states_that_they_had() -> None:
    first = Counting()
    grid = fit(lambda config: {"x": 1}, {"x": tune.grid_search([1, 2, 3])}, RunConfig(callbacks=[first]))
    assert first.count == 3
    again = Tuner.restore(grid.experiment_path, lambda config: {"x": 1})
    assert again._search is not None
    (second,) = again._search.spec.run.callbacks or ()
    again.fit()
    assert isinstance(second, Counting) and second.count == 3
