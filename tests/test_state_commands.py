"""The commands that look inside a node, on one that runs programs."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import ray_async as ray
from ray_async.cli import command as cli
from ray_async.cli import state_commands
from ray_async.cli.output import render, table
from tests.resources import wait_until


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ray.init("local", num_cpus=2, namespace="here", _system_config={"profiling": True}) as context:
        yield context.address_info["address"]


@pytest.fixture
def run(address: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main([*words, "--address", address])
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


@ray.remote
class Keeper:
    def ping(self) -> int:
        return os.getpid()

    def stands_still(self) -> None:
        threading.Event().wait()


@ray.remote(max_retries=0)
def wrong() -> None:
    raise LookupError("lost \x1b[31m<b>")


def test_list_get_and_summary(run: Any, wait_until: Callable[..., None]) -> None:
    keeper = Keeper.options(name="listed").remote()
    pid = ray.get(keeper.ping.remote())
    status, out, _ = run("list", "actors", "-f", "NAME=Listed", "-f", "state!=DEAD", "--format", "json")
    (row,) = json.loads(out)
    assert (status, row["pid"], row["class_name"]) == (0, pid, "Keeper")
    _, out, _ = run("list", "actors", "-f", "name=listed")
    assert out.splitlines()[0].split()[:3] == ["ACTOR_ID", "CLASS_NAME", "STATE"] and str(pid) in out
    for style, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        _, out, _ = run("get", "actors", row["actor_id"], "--format", style)
        assert load(out)[0] == row
    _, out, _ = run("get", "actors", row["actor_id"], "--format", "table")
    assert ["name", "listed"] in [line.split() for line in out.splitlines()]
    _, out, _ = run("summary", "actors", "--format", "json")
    assert {"name": "Keeper", "ALIVE": 1}.items() <= json.loads(out)[0].items()


def test_a_failed_task_and_what_a_terminal_would_obey(run: Any, wait_until: Callable[..., None]) -> None:
    with pytest.raises(LookupError):
        ray.get(wrong.remote())
    wait_until(lambda: "FAILED" in run("list", "tasks", "-f", "name=wrong")[1])
    _, out, _ = run("list", "tasks", "-f", "name=wrong", "-f", "state=failed")
    assert r"LookupError: lost \x1b[31m<b>" in out and "\x1b" not in out
    _, out, _ = run("summary", "tasks", "--format", "json")
    assert {"name": "wrong", "FAILED": 1} in json.loads(out)


def test_pages(run: Any) -> None:
    refs = [ray.put(i) for i in range(7)]

    def all_are_seen_once() -> bool:
        """Whether three pages have them; what other tests have left may go between two pages."""
        seen = []
        for offset in (0, 3, 6):
            _, out, _ = run("list", "objects", "--limit", "3", "--offset", str(offset), "--format", "json")
            seen += [row["object_id"] for row in json.loads(out)]
        return len(set(seen)) == len(seen) and {ref.hex() for ref in refs} <= set(seen)

    wait_until(all_are_seen_once)
    assert "--offset 3" in run("list", "objects", "--limit", "3")[2]


def test_watching_goes_on_until_it_is_interrupted(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(state_commands.time, "sleep", sleep)
    status, out, _ = run("list", "nodes", "--watch", "0.5")
    assert (status, pauses, out.count("NODE_ID")) == (130, [0.5] * 3, 3)


def test_memory(run: Any) -> None:
    ref = ray.put(b"x" * (3 << 20))
    _, out, _ = run("memory", "--units", "MB", "-n", "1")
    assert ref.hex() in out and "3.00" in out.splitlines()[1] and len(out.splitlines()) == 3
    assert len(run("memory", "--stats-only")[1].splitlines()) == 1


def test_the_timeline_is_a_trace(run: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    @ray.remote
    def traced() -> None:
        pass

    ray.get(traced.remote())
    path = tmp_path / "trace.json"

    def is_written() -> bool:
        assert run("timeline", "--output", str(path))[0] == 0
        return any(event["name"] == "traced" for event in json.loads(path.read_text()))

    wait_until(is_written)


@pytest.mark.parametrize("tool", [False, True], ids=["without py-spy", "py-spy that may not look"])
def test_stacks(
    run: Any, tool: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    spy = tmp_path / "py-spy"
    if tool:
        spy.write_text("#!/bin/sh\nexit 1\n")
        spy.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    keeper = Keeper.remote()
    pid = ray.get(keeper.ping.remote())
    stuck = keeper.stands_still.remote()
    wait_until(lambda: "in stands_still" in run("stack", "--pid", str(pid))[1])
    status, out, _ = run("stack")
    assert status == 0 and f"Process {pid} (worker)" in out and "(node)\n" in out and "in run_node" in out
    assert not ray.wait([stuck], timeout=0)[0]
    ray.kill(keeper)


def test_a_process_that_is_stopped_gives_no_stack(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    keeper = Keeper.remote()
    pid = ray.get(keeper.ping.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        status, out, err = run("stack", "--pid", str(pid))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert status == 1 and "may be stopped" in out and "No stack can be read" in err
    assert ray.get(keeper.ping.remote()) == pid


def test_a_process_without_a_handler_is_not_signalled(tmp_path: Path) -> None:
    from ray_async.machine.stack_dump import read_stacks

    (tmp_path / "stacks").touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(ProcessLookupError, match="writes no stacks"):
            read_stacks(process.pid, str(tmp_path))
        process.communicate(b"\n")
        assert process.returncode == 0


def test_kill_actor(address: str, wait_until: Callable[..., None]) -> None:
    keeper = Keeper.options(name="doomed", lifetime="detached").remote()
    ray.get(keeper.ping.remote())
    command = [sys.executable, "-m", "ray_async", "kill-actor", "--address", address, "--namespace", "here", "--name"]
    missing = subprocess.run([*command, "domed"], capture_output=True, text=True, timeout=60, check=False)
    assert missing.returncode == 1 and "Did you mean 'doomed'?" in missing.stderr
    ended = subprocess.run([*command, "doomed"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(keeper.ping.remote(), timeout=60)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "actors", "-f", "stat=DEAD"], "actors have no field 'stat'. Did you mean 'state'?"),
        (["get", "nodes", "00"], "There is no node_id '00' among nodes."),
        (["list", "tasks", "--limit", "0"], "limit must be between 1 and 10000"),
        (["list", "tasks", "--offset", "-1"], "offset must not be negative"),
        (["list", "tasks", "--watch", "0"], "--watch must be positive"),
        (["list", "tasks", "--timeout", "0"], "--timeout must be positive"),
        (["stack", "--pid", "1"], "Process 1 is neither the node nor one of its workers."),
    ],
)
def test_questions_that_cannot_be_answered(run: Any, words: list[str], message: str) -> None:
    keeper = Keeper.remote()
    ray.get(keeper.ping.remote())
    status, out, err = run(*words)
    assert (status, out) == (1, "") and message in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "task"], "Did you mean 'tasks'?"),
        (["lst", "tasks"], "Did you mean 'list'?"),
        (["list", "tasks", "--fromat", "json"], "Did you mean '--format'?"),
        (["list", "tasks", "-f", "name"], "neither KEY=VALUE nor KEY!=VALUE"),
    ],
)
def test_slips_get_the_right_word(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_no_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "tasks", "--address", "127.0.0.1:1"]) == 1
    assert "No node is running at 127.0.0.1:1." in capsys.readouterr().err


def test_tables() -> None:
    assert table([], ("a", "b")) == "A  B"
    rows: list[dict[str, Any]] = [{"a": "x" * 100, "b": None}, {"a": {"c": 1}, "b": "first\nlast"}]
    assert table(rows, ("a", "b")).splitlines()[1:] == ["x" * 59 + "…  -", '{"c": 1}' + " " * 52 + "  last"]
    assert render([], "table") == "" and render([], "json") == "[]" and render([], "yaml") == "[]"
