"""Lines about deaths that were survived: when they are sent, how they are counted, and who sees them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_async.config import Settings
from ray_async.runtime.node.death.survived_deaths import SurvivedDeaths


class Notices(SurvivedDeaths):
    """Keeps what it sends; its clock stands until it is set."""

    def __init__(self, **settings: Any) -> None:
        self.lines: list[tuple[int, str]] = []
        self.now = 0.0
        super().__init__(lambda job, line: self.lines.append((job, line)), Settings(settings, {}), lambda: self.now)


def test_a_task_that_is_run_again() -> None:
    notices = Notices()
    notices.task_retried(1, "train", 7, "killed by signal 9 (SIGKILL)", 1)
    notices.task_retried(2, "other", 8, "ended with exit code 3", -1)
    assert notices.lines == [
        (1, "task train (pid=7) died: killed by signal 9 (SIGKILL). It is run again; 1 retry left."),
        (2, "task other (pid=8) died: ended with exit code 3. It is run again; retries have no limit."),
    ]


def test_an_actor_that_restarts() -> None:
    notices = Notices()
    notices.actor_restarted(1, "Counter", "ab", 7, "its node has died", 0)
    text = "actor Counter (ab, pid=7) died: its node has died. It is restarted and has lost its state; 0 restarts left."
    assert notices.lines == [(1, text)]


def test_deaths_that_are_alike_are_counted_for_a_while() -> None:
    notices = Notices(dedup_logs_agg_window_s=5)
    for pid in range(4):
        notices.task_retried(1, "f", pid, "killed", 2)
    notices.task_retried(1, "f", 4, "memory was short", 2)  # another cause
    assert [line.partition(" died")[0] for _, line in notices.lines] == ["task f (pid=0)", "task f (pid=4)"]
    notices.tick()
    assert len(notices.lines) == 2
    notices.now = 5.0
    notices.tick()
    _, line = notices.lines[-1]
    assert line.startswith("task f (pid=3) died: killed.")
    assert line.endswith("[3 such deaths of task f in 5 s]")
    notices.task_retried(1, "f", 5, "killed", 2)
    assert notices.lines[-1][1].startswith("task f (pid=5)")


def test_what_is_held_back_is_not_lost() -> None:
    notices = Notices()
    for left in (1, 0):
        notices.task_retried(1, "f", 7, "killed", left)
    notices.flush()
    assert [line.partition("; ")[2] for _, line in notices.lines] == ["1 retry left.", "0 retries left."]
    notices.flush()
    assert len(notices.lines) == 2


def test_lines_can_be_switched_off_and_the_counting_too() -> None:
    silent = Notices(log_survived_deaths=False)
    silent.task_retried(1, "f", 7, "killed", 1)
    silent.flush()
    assert silent.lines == []
    full = Notices(dedup_logs=False)
    for pid in range(3):
        full.task_retried(1, "f", pid, "killed", 1)
    assert len(full.lines) == 3


PROGRAM = """
import os, signal, sys
import ray_async as ray

@ray.remote(max_retries=1)
def once(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1

@ray.remote(max_restarts=1, max_task_retries=1)
class Keeper:
    def die_once(self, path):
        if not os.path.exists(path):
            open(path, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2

ray.init(num_cpus=1, {options})
assert ray.get(once.options(name="precious").remote(sys.argv[1] + "/task")) == 1
keeper = Keeper.remote()
assert ray.get(keeper.die_once.remote(sys.argv[1] + "/actor")) == 2
ray.shutdown()
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    def stderr_of(options: str) -> str:
        source = PROGRAM.replace("{options}", options)
        command = [sys.executable, "-c", source, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stderr

    return stderr_of


def test_the_drivers_user_is_told(run: Callable[[str], str]) -> None:
    lines = [line for line in run("").splitlines() if " died: " in line]
    assert len(lines) == 2, lines
    assert "task precious (pid=" in lines[0]
    assert lines[0].endswith("died: killed by signal 9 (SIGKILL). It is run again; 0 retries left.")
    assert "actor Keeper (" in lines[1]
    assert lines[1].endswith("It is restarted and has lost its state; 0 restarts left.")


@pytest.mark.parametrize("options", ["log_to_driver=False", "_system_config={'log_survived_deaths': False}"])
def test_the_drivers_user_is_not_told_who_does_not_want_it(run: Callable[[str], str], options: str) -> None:
    assert " died: " not in run(options)
