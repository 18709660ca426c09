"""Sessions of programs that have no standard input, output or error, as under supervisors and in daemons."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ray_async.runtime.start.standard_descriptors import fill_standard_descriptors
from tests.resources import wait_until

TIMEOUT_S = 90
COMBINATIONS = [group for size in range(4) for group in itertools.combinations(range(3), size)]

PROGRAM = """
import os, sys
path, closed, daemon = sys.argv[1], [int(digit) for digit in sys.argv[2]], sys.argv[3] == "daemon"
if daemon and os.fork():
    os._exit(0)
if daemon:
    os.setsid()
for descriptor in closed:
    os.close(descriptor)
import ray_async as ray

@ray.remote
def has_descriptors():
    print("a task's line")
    return all(os.path.exists(f"/proc/self/fd/{number}") for number in range(3))

@ray.remote
class Actor:
    def has_descriptors(self):
        print("a method's line", file=sys.stderr)
        return ray.get(has_descriptors.remote())

with ray.init("local", num_cpus=2):
    found = ray.get([has_descriptors.remote(), Actor.remote().has_descriptors.remote()], timeout=60)
    found += [os.readlink(f"/proc/self/fd/{number}") == "/dev/null" for number in closed]
with open(path + ".new", "w") as file:
    file.write(str(all(found)))
os.rename(path + ".new", path)
"""


@pytest.mark.parametrize("daemon", [False, True], ids=["program", "daemon"])
@pytest.mark.parametrize("closed", COMBINATIONS, ids=lambda closed: "closed" + "".join(map(str, closed)))
def test_any_of_them_may_be_closed(closed: tuple[int, ...], daemon: bool, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    words = [str(answer), "".join(map(str, closed)), "daemon" if daemon else "program"]
    run = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert run.returncode == 0, run.stderr
    wait_until(answer.exists, TIMEOUT_S)
    assert answer.read_text() == "True"


def test_open_ones_stay_as_they_are() -> None:
    before = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
    fill_standard_descriptors()
    assert [os.readlink(f"/proc/self/fd/{number}") for number in range(3)] == before
