"""Programs that are submitted: what becomes of them, also without the dashboard and without who has submitted them."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_async.cli import command as cli
from ray_async.dashboard.launch import dashboard_at, start_dashboard
from ray_async.job_submission import JobDetails, JobStatus, JobSubmissionClient
from tests.dashboard.conftest import Client

PROGRAM = """
import os
import ray_async as ray

@ray.remote
def seen():
    return os.environ["GREETING"], os.path.exists("beside.txt")

ray.init()
print(ray.get(seen.remote()), os.path.exists("beside.txt"))
"""


@pytest.fixture
def jobs(client: Client) -> JobSubmissionClient:
    return JobSubmissionClient(client.dashboard.url, headers={"Authorization": f"Bearer {client.dashboard.token}"})


@pytest.fixture
def ended(jobs: JobSubmissionClient, wait_until: Callable[..., None]) -> Callable[[str], JobDetails]:
    def ended(name: str) -> JobDetails:
        wait_until(lambda: jobs.get_job_status(name).is_terminal())
        return jobs.get_job_info(name)

    return ended


def test_a_program_runs_in_its_environment(jobs: JobSubmissionClient, ended: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "beside.txt").touch()
    name = jobs.submit_job(
        entrypoint="python program.py",
        runtime_env={"working_dir": str(tmp_path), "env_vars": {"GREETING": "grüezi"}},
        metadata={"for": "test"},
    )
    assert name.startswith("raysubmit_") and len(name) == len("raysubmit_") + 16
    job = ended(name)
    assert (job.status, job.driver_exit_code, job.metadata) == (JobStatus.SUCCEEDED, 0, {"for": "test"}), job.message
    assert jobs.get_job_logs(name) == "('grüezi', True) True\n"
    assert jobs.list_jobs()[0] == job and job.start_time is not None and job.start_time <= (job.end_time or 0)


def test_a_command_that_fails_says_why(jobs: JobSubmissionClient, ended: Any) -> None:
    job = ended(jobs.submit_job(entrypoint="echo wrong >&2; exit 3", submission_id="fails"))
    assert (job.status, job.driver_exit_code) == (JobStatus.FAILED, 3)
    assert "with status 3" in job.message and "wrong" in job.message
    job = ended(jobs.submit_job(entrypoint="kill -9 $$"))
    assert job.driver_exit_code == -9 and "by SIGKILL" in job.message
    job = ended(jobs.submit_job(entrypoint="true", runtime_env={"working_dir": "/no/such/folder"}))
    assert job.status == "FAILED" and "could not be started" in job.message and "/no/such/folder" in job.message


def test_ids_are_unique_and_ended_jobs_are_forgotten(jobs: JobSubmissionClient, ended: Any) -> None:
    jobs.submit_job(entrypoint="true", submission_id="once")
    with pytest.raises(RuntimeError, match="there is a job of that id already"):
        jobs.submit_job(entrypoint="true", submission_id="once")
    ended("once")
    assert jobs.stop_job("once") is False
    assert jobs.delete_job("once")
    with pytest.raises(RuntimeError, match="there is no job 'once'"):
        jobs.get_job_info("once")


async def test_output_is_followed_and_a_stop_ends_all_that_was_started(
    jobs: JobSubmissionClient, wait_until: Callable[..., None]
) -> None:
    # The first process takes no notice of being asked, and the second is a child that is left.
    name = jobs.submit_job(entrypoint="sleep 1000 & echo begun é $!; trap '' TERM; while :; do sleep 1000; done")
    seen = ""

    async def follow() -> None:
        nonlocal seen
        async for part in jobs.tail_job_logs(name):
            seen += part

    following = asyncio.ensure_future(follow())
    while "\n" not in seen:
        await asyncio.sleep(0.01)
    assert seen.startswith("begun é ")
    child = int(seen.split()[2])
    with pytest.raises(RuntimeError, match="is RUNNING: stop it first"):
        await asyncio.to_thread(jobs.delete_job, name)
    assert await asyncio.to_thread(jobs.stop_job, name)
    await following
    assert jobs.get_job_status(name) == JobStatus.STOPPED
    wait_until(lambda: not _lives(child))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_waits_for_what_it_takes(jobs: JobSubmissionClient, ended: Any) -> None:
    name = jobs.submit_job(entrypoint="true", entrypoint_resources={"no_such_thing": 1})
    assert jobs.get_job_status(name) == JobStatus.PENDING
    assert jobs.stop_job(name)
    assert ended(name).status == JobStatus.STOPPED
    assert ended(jobs.submit_job(entrypoint="true", entrypoint_num_cpus=1)).status == JobStatus.SUCCEEDED


def test_a_lost_process_is_noticed(jobs: JobSubmissionClient, client: Client, wait_until: Any, ended: Any) -> None:
    name = jobs.submit_job(entrypoint="sleep 1000")
    wait_until(lambda: jobs.get_job_status(name) == JobStatus.RUNNING)
    (row,) = client.ask(f"/api/v0/actors?filter_keys=name&filter_predicates=%3D&filter_values=job:{name}").rows()
    os.kill(row["pid"], signal.SIGKILL)
    job = ended(name)
    assert job.status == JobStatus.FAILED and "was lost" in job.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Expecting"),
        (b"[]", "an object of JSON"),
        (b"\xff", "utf-8"),
        ({"entrypoint": ""}, "entrypoint must be a command"),
        ({"entrypoint": "true", "entrypoin_num_cpus": 1}, "Did you mean 'entrypoint_num_cpus'?"),
        ({"entrypoint": "true", "submission_id": "../../x"}, "a job's id has"),
        ({"entrypoint": "true", "submission_id": ".."}, "a job's id has"),
        ({"entrypoint": "true", "submission_id": "a" * 1000}, "a job's id has"),
        ({"entrypoint": "true", "metadata": {"a": 1}}, "metadata must be texts"),
        ({"entrypoint": "true", "runtime_env": "x"}, "runtime_env must be a mapping"),
        ({"entrypoint": "true", "entrypoint_num_cpus": -1}, "entrypoint_num_cpus must be"),
        ({"entrypoint": "true", "entrypoint_num_gpus": "2"}, "entrypoint_num_gpus must be"),
    ],
)
def test_bad_jobs_are_refused(client: Client, body: Any, text: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.ask("/api/jobs/", "POST", data, Content_Type="application/json")
    assert answer.status == 400 and text in answer.text


def test_who_may_submit(client: Client) -> None:
    data = json.dumps({"entrypoint": "true"}).encode()
    assert client.ask("/api/jobs/", "POST", data, token=None, Content_Type="application/json").status == 401
    assert client.ask("/api/jobs/", "POST", data, Content_Type="text/plain").status == 415
    assert client.ask("/api/jobs/", "POST", b" " * (2 << 20), Content_Type="application/json").status == 413
    for path in ("/api/jobs/..%2f..", "/api/jobs/%2e%2e", "/api/jobs/no/logs", "/api/jobs/no"):
        assert client.ask(path).status == 404


def test_jobs_outlive_the_dashboard(client: Client, jobs: JobSubmissionClient, wait_until: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    name = jobs.submit_job(entrypoint=f"cat {gate}")
    wait_until(lambda: jobs.get_job_status(name) == JobStatus.RUNNING)
    os.kill(client.dashboard.pid, signal.SIGKILL)
    wait_until(lambda: dashboard_at(client.session_dir) is None)
    address = json.loads(Path(client.session_dir, "jobs", name, "job.json").read_text())
    assert address["entrypoint"] == f"cat {gate}"
    port = int(client.host.rpartition(":")[2])
    client.dashboard = start_dashboard(client.address, client.session_dir, port=port)
    assert jobs.get_job_status(name) == JobStatus.RUNNING
    gate.write_text("at last\n")
    wait_until(lambda: jobs.get_job_status(name) == JobStatus.SUCCEEDED)
    assert jobs.get_job_logs(name) == "at last\n"


def test_the_command_line(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        status = 0

        # As from a terminal: no event loop runs in the thread.
        def call() -> None:
            nonlocal status
            status = cli.main(["job", words[0], "--address", client.address, *words[1:]])

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return status, *capfd.readouterr()

    status, out, _ = run("submit", "--submission-id", "by-command", "--", "sh", "-c", "echo one two")
    assert (status, out.splitlines()) == (
        0,
        ["Job 'by-command' submitted successfully", "one two", "Job 'by-command' succeeded"],
    )
    assert run("submit", "--submission-id", "wrong", "--", "exit 2")[0] == 1
    assert run("status", "wrong")[1].startswith("Job 'wrong' failed\nThe command has ended with status 2.")
    assert run("logs", "by-command")[1] == "one two\n"
    assert "by-command" in run("list")[1]
    assert {row["status"] for row in json.loads(run("list", "--format", "json")[1])} <= set(JobStatus)
    assert run("stop", "wrong")[1] == "Job 'wrong' has ended already.\n"
    assert run("delete", "wrong")[:2] == (0, "Job 'wrong' is forgotten.\n")
    status, _, err = run("status", "by-comand")
    assert status == 1 and "Did you mean 'by-command'?" in err


def test_a_client_without_a_server_says_so() -> None:
    with pytest.raises(ConnectionError, match="no node runs at"):
        JobSubmissionClient("127.0.0.1:1")
    with pytest.raises(ConnectionError, match="does not answer"):
        JobSubmissionClient("http://127.0.0.1:1").list_jobs()
    assert [status for status in JobStatus if not status.is_terminal()] == [JobStatus.PENDING, JobStatus.RUNNING]
