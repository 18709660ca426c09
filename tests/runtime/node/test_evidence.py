from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ray_async.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    WorkerCrashedError,
)
from ray_async.machine.cgroup import MemoryEvents
from ray_async.machine.exit_status import ExitStatus
from ray_async.runtime.node.death import evidence as death
from ray_async.runtime.node.death.evidence import DeathCause, DeathReport, Deceased, Evidence, split_fault_stack

TASK = Deceased("train", pid=42)
ACTOR = Deceased("Counter.add", pid=43, actor_id="ab" * 16, class_name="Counter", actor_name="c", namespace="ns")
KILL = ExitStatus(signal=int(signal.SIGKILL))


def test_exit_status_of_real_processes() -> None:
    def wait(code: str) -> ExitStatus:
        process = subprocess.Popen([sys.executable, "-c", code])
        _, status = os.waitpid(process.pid, 0)
        process.returncode = 0  # reaped here
        return ExitStatus.from_wait_status(status)

    assert wait("import os; os._exit(3)") == ExitStatus(code=3)
    killed = wait("import os; os.kill(os.getpid(), 9)")
    assert (killed.signal, killed.signal_name) == (9, "SIGKILL")


def test_exit_status_in_words() -> None:
    assert ExitStatus(code=0).describe() == "ended with exit code 0"
    assert ExitStatus(signal=11, core_dumped=True).describe() == "killed by signal 11 (SIGSEGV, core dumped)"
    assert ExitStatus(signal=40).signal_name == "SIG40"
    with pytest.raises(ValueError, match="not the end"):
        ExitStatus.from_wait_status(0x137F)


@pytest.mark.parametrize(
    ("who", "evidence", "cause", "error", "parts"),
    [
        (TASK, Evidence(ExitStatus(signal=11)), DeathCause.SIGNAL, WorkerCrashedError, ["SIGSEGV", "native code"]),
        (
            TASK,
            Evidence(ExitStatus(code=3)),
            DeathCause.EXIT,
            WorkerCrashedError,
            ["exit code 3", "raise an exception"],
        ),
        (TASK, Evidence(), DeathCause.UNKNOWN, WorkerCrashedError, ["unknown"]),
        (TASK, Evidence(KILL), DeathCause.SIGNAL, WorkerCrashedError, ["SIGKILL", "keeps no count", "dmesg"]),
        (
            TASK,
            Evidence(KILL, memory_before=MemoryEvents(1), memory_after=MemoryEvents(1)),
            DeathCause.SIGNAL,
            WorkerCrashedError,
            ["show no memory kill"],
        ),
        (
            TASK,
            Evidence(KILL, memory_before=MemoryEvents(1), memory_after=MemoryEvents(3)),
            DeathCause.OUT_OF_MEMORY,
            OutOfMemoryError,
            ["killed 2 processes", "What to try"],
        ),
        (
            ACTOR,
            Evidence(KILL, memory_before=MemoryEvents(0), memory_after=MemoryEvents(1)),
            DeathCause.OUT_OF_MEMORY,
            ActorDiedError,
            ["killed 1 process of"],
        ),
        (
            ACTOR,
            Evidence(KILL, DeathCause.MEMORY_MONITOR, detail="2 of 2 GiB in use"),
            DeathCause.MEMORY_MONITOR,
            OutOfMemoryError,
            ["2 of 2 GiB"],
        ),
        (ACTOR, Evidence(KILL, DeathCause.KILLED), DeathCause.KILLED, ActorDiedError, ["it was killed by `ray.kill`"]),
        (ACTOR, Evidence(KILL, DeathCause.OWNER_DIED), DeathCause.OWNER_DIED, ActorDiedError, ["its owner has died"]),
        (ACTOR, Evidence(None, DeathCause.NODE_DIED), DeathCause.NODE_DIED, ActorDiedError, ["its node has died"]),
        (TASK, Evidence(None, DeathCause.NODE_DIED), DeathCause.NODE_DIED, NodeDiedError, ["task train"]),
        (
            ACTOR,
            Evidence(ExitStatus(code=0), DeathCause.EXIT_ACTOR),
            DeathCause.EXIT_ACTOR,
            ActorDiedError,
            ["exit_actor()", "exit code 0"],
        ),
        (TASK, Evidence(KILL, DeathCause.CANCELLED), DeathCause.CANCELLED, WorkerCrashedError, ["ray.cancel"]),
    ],
)
def test_verdicts(
    who: Deceased, evidence: Evidence, cause: DeathCause, error: type[RayError], parts: list[str]
) -> None:
    report = DeathReport.build(who, evidence)
    assert report.cause is cause
    raised = report.error()
    assert type(raised) is error
    for part in [*parts, f"pid={who.pid}"]:
        assert part in str(raised)


def test_a_growing_counter_explains_only_sigkill() -> None:
    evidence = Evidence(ExitStatus(signal=11), memory_before=MemoryEvents(0), memory_after=MemoryEvents(1))
    assert DeathReport.build(TASK, evidence).cause is DeathCause.SIGNAL


def test_actor_error_carries_facts() -> None:
    error = DeathReport.build(ACTOR, Evidence(ExitStatus(code=1))).error()
    assert isinstance(error, ActorDiedError)
    assert error.actor_id == "ab" * 16
    for part in ("class_name: Counter", "name: c", "namespace: ns", "its worker process has died"):
        assert part in str(error)


def test_last_lines_of_stderr_are_shown() -> None:
    message = DeathReport.build(TASK, Evidence(ExitStatus(code=1), stderr=[f"line {i}\n" for i in range(50)])).message
    assert message.endswith("    line 49")
    assert "line 30" in message and "line 29" not in message


def test_stack_of_a_real_crash_is_found() -> None:
    code = "import faulthandler, os, sys\nfaulthandler.enable()\nprint('before', file=sys.stderr, flush=True)\n"
    code += "def inner(): faulthandler._sigsegv()\ninner()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    others, stack = split_fault_stack([*done.stderr.splitlines(), "after"])
    assert others == ["before", "after"]
    assert stack[0] == "Fatal Python error: Segmentation fault"
    assert any("in inner" in line for line in stack)
    report = DeathReport.build(TASK, Evidence(ExitStatus(signal=-done.returncode), stderr=done.stderr.splitlines()))
    assert "Python stack when it crashed:\n    Fatal Python error" in report.message
    assert report.message.endswith("Last lines of its stderr:\n    before")


def test_the_frames_that_called_the_users_are_left_out() -> None:
    def frame(file: str) -> str:
        return f'  File "{file}", line 1 in f'

    ours = frame(death.__file__)
    fault, thread = "Fatal Python error: Aborted", "Current thread 0x00 (most recent call first):"
    lines = [fault, thread, frame("a.py"), frame("b.py"), ours, frame("<string>")]
    assert DeathReport.build(TASK, Evidence(stderr=lines)).message.endswith(f"b.py{lines[3].partition('b.py')[2]}")
    within = [fault, thread, ours, ours]
    assert DeathReport.build(TASK, Evidence(stderr=within)).message.count(ours) == 2
    called_back = [fault, "Thread 0x01 (most recent call first):", ours, frame("a.py"), ours, thread, ours]
    assert DeathReport.build(TASK, Evidence(stderr=called_back)).message.count(ours) == 2


def test_list_of_extension_modules_is_left_out() -> None:
    lines = [
        "Fatal Python error: Aborted",
        "",
        "Current thread 0x00 (most recent call first):",
        '  File "a", line 1 in f',
    ]
    others, stack = split_fault_stack([*lines, "", "Extension modules: numpy (total: 1)"])
    assert others == []
    assert stack == [line for line in lines if line]
