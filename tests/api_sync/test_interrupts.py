"""Ctrl-C in a script that waits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROLOGUE = """
import os, signal, sys, time
import ray_async as ray
ray.init(num_cpus=2, log_to_driver=False)

@ray.remote
def sleep():
    time.sleep(1000)

@ray.remote
def pid():
    return os.getpid()

@ray.remote
def numbers():
    yield 1
    time.sleep(1000)

class Actor:
    def answer(self):
        return 42

actor = ray.remote(num_cpus=0)(Actor).remote()
ray.get(actor.answer.remote())
ref = sleep.remote()
stream = numbers.options(num_cpus=0).remote()
next(stream)
"""
WAIT = """
try:
    print("waiting", flush=True)  # inside: the signal may come at once
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert ray.get(actor.answer.remote()) == 42
assert ray.get(pid.remote()) != os.getpid()
assert ray.wait([ref], timeout=0) == ([], [ref])
print("usable", flush=True)
ray.shutdown()
"""
WAITS = ["ray.get(ref)", "ray.get([ref, ref])", "ray.wait([ref])", "next(stream)", "ray.get(ref, timeout=500)"]


def start(script: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stderr=pipe, text=True, start_new_session=True)


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_the_wait_and_nothing_else(wait: str) -> None:
    with start(PROLOGUE + WAIT.format(wait=wait)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
        output, errors = process.communicate(timeout=100)
    assert output == "interrupted\nusable\n", errors
    assert process.returncode == 0


def test_ctrl_c_that_ends_the_script_leaves_nothing(tmp_path: Path) -> None:
    script = PROLOGUE + "print('waiting', flush=True)\nray.get(ref)\n"
    with start(script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in errors
    assert process.returncode in (1, 130, -signal.SIGINT)
    # What is left of processes and files is looked for after each test.


DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD})
import ray_async as ray
ray.init(num_cpus=2, log_to_driver=False)

@ray.remote(max_retries=0)
def sleep(path):
    open(path, "w").close()
    time.sleep(1000)

@ray.remote(max_retries=0)
def die():
    os.kill(os.getpid(), signal.SIGKILL)

ref = sleep.remote(sys.argv[1])
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
ray.cancel(ref)
for ref in (ref, die.remote()):
    try:
        ray.get(ref, timeout=60)
    except ray.exceptions.RayError as error:
        print(type(error).__name__, "SIGKILL" in str(error), flush=True)
ray.shutdown()
"""


def test_a_driver_that_ignores_and_blocks_signals(tmp_path: Path) -> None:
    """Its session's processes do not inherit that: cancels reach tasks, and deaths are told with their cause."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", DEAF, str(tmp_path / "started")]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        output, errors = process.communicate(timeout=100)
    assert output == "RayTaskError(TaskCancelledError) False\nWorkerCrashedError True\n", errors
