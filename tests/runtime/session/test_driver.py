"""What a driver tells of its job, and how it leaves the session."""

import gc
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.engine.init_options import InitOptions
from ray_async.job_config import JobConfig
from ray_async.runtime.session.driver import job_config
from ray_async.runtime.start.early_end import END_EARLY
from ray_async.runtime.start.node_launch import NodeLaunch
from tests.resources import wait_until

TIMEOUT_S = 60


def test_a_jobs_settings_reach_its_workers() -> None:
    given = JobConfig(ray_namespace="n", default_actor_lifetime="detached")
    job = job_config(InitOptions(job_config=given, logging_level="debug"), 7)
    assert (job["id"], job["namespace"], job["default_actor_lifetime"]) == (7, "n", "detached")
    assert job["logging"] == {"level": 10}


def test_workers_of_a_plain_job_set_up_no_loggers() -> None:
    job = job_config(InitOptions(), 1)
    assert (job["default_actor_lifetime"], job["logging"]) == ("non_detached", {})


@ray.remote
def starts_a_program() -> int:
    return subprocess.Popen(["sleep", "900"], start_new_session=True).pid


def is_gone(pid: int) -> bool:
    """Whether a process has ended and was reaped."""
    return not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("works", [False, True])
def test_a_session_may_end_before_its_node_has_begun(works: bool) -> None:
    for _ in range(5):  # the node is elsewhere in its start each time
        with ray.init("local", num_cpus=1) as context:
            program = ray.get(starts_a_program.remote(), timeout=TIMEOUT_S) if works else None
            directory = context.address_info["session_dir"]
        assert not os.path.exists(directory)
        if program is not None:
            wait_until(partial(is_gone, program))


def test_what_a_task_has_written_is_shown_however_early_the_session_ends() -> None:
    program = """
import ray_async as ray
ray.init("local", num_cpus=1)
ray.get(ray.remote(lambda: print("from the task")).remote())
"""
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        assert run.stdout.endswith("from the task\n")


def test_the_early_end_is_for_nodes_alone() -> None:
    with ray.init("local", num_cpus=1):
        remote = ray.remote(lambda: signal.getsignal(END_EARLY))
        assert ray.get(remote.remote(), timeout=TIMEOUT_S) == signal.SIG_DFL


def test_an_environment_that_cannot_be_packed_leaves_nothing_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ValueError, match="nowhere"):
        ray.init("local", num_cpus=1, runtime_env={"working_dir": str(tmp_path / "nowhere")})
    gc.collect()  # what is closed only now warns, and warnings are errors
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_an_interrupted_end_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(launch: NodeLaunch, timeout_s: float) -> None:
        raise KeyboardInterrupt

    ray.init("local", num_cpus=1)
    session: Any = get_session()
    directory = Path(session.description["session_dir"])
    monkeypatch.setattr(NodeLaunch, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ray.shutdown()
    assert not directory.exists()
    assert not ray.is_initialized()


DELETED = """
import os, tempfile
import ray_async as ray

directory = tempfile.mkdtemp()
os.chdir(directory)
os.rmdir(directory)

@ray.remote
def where():
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "deleted"

@ray.remote
class Actor:
    def where(self):
        return ray.get(where.remote())

with ray.init(num_cpus=2):
    fresh = where.options(runtime_env={"env_vars": {"LD_LIBRARY_PATH": ""}})
    print(*ray.get([where.remote(), Actor.remote().where.remote(), fresh.remote()]))
"""


def test_a_program_whose_directory_was_deleted_starts() -> None:
    run = subprocess.run([sys.executable, "-P", "-c", DELETED], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (run.stdout.split(), run.returncode) == (["deleted"] * 3, 0), run.stderr
