"""Drivers that end in every way: nothing of their sessions stays."""

import contextlib
import os
import signal

import pytest

BUSY = """
ray.init(num_cpus=2, object_store_memory=100 << 20)
@ray.remote
def work(x):
    time.sleep(0.01)
    return np.zeros(20_000)
@ray.remote
class Holder:
    def keep(self):
        return os.getpid()
holder = Holder.remote()
ray.get(holder.keep.remote())
kept = [ray.put(np.zeros(100_000)) for _ in range(5)]
refs = [work.remote(i) for i in range(2000)]
ray.get(refs[:4])
say("busy")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_a_signalled_driver_leaves_nothing(program, number):
    driver = program(BUSY + "threading.Event().wait()\n")
    assert driver.line() == "busy"
    assert len(driver._left()) >= 4, "driver, node, zygote, session directory"
    driver.process.send_signal(number)
    driver.finish()
    assert driver.left() == []


@pytest.mark.parametrize("ending", ["os._exit(3)", "sys.exit(3)", "raise ValueError('the end')", "ray.shutdown()", ""])
def test_a_driver_that_ends_itself_leaves_nothing(program, ending):
    driver = program(BUSY + ending)
    assert driver.line() == "busy"
    code, _, err = driver.finish()
    assert code == {"os": 3, "sy": 3, "ra": 1 if "raise" in ending else 0, "": 0}[ending[:2]], err
    assert driver.left() == []


def test_a_driver_killed_with_its_node_leaves_no_process(program):
    driver = program(BUSY + "os.kill(node_pid(), signal.SIGSTOP); say('stopped'); os.kill(os.getpid(), signal.SIGKILL)")
    assert [driver.line(), driver.line()] == ["busy", "stopped"]
    driver.finish()
    # A stopped node cannot clean up; continued, it does. Any of the processes may be gone by its turn.
    for process in driver._left():
        pid = process.partition(":")[0]
        if pid.isdigit():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGCONT)
    assert driver.left() == []


def test_children_of_workers_end_with_the_session(program):
    driver = program(
        """
ray.init(num_cpus=2)
@ray.remote
def spawn():
    import subprocess
    plain = subprocess.Popen(["sleep", "1000"])
    own_session = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return plain.pid, own_session.pid
say(ray.get(spawn.remote()))
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert driver.line()
    driver.finish()
    assert driver.left() == []


def test_an_interrupted_get_can_be_repeated(program):
    driver = program(
        """
ray.init(num_cpus=1)
@ray.remote
def slow():
    time.sleep(1.5)
    return 5
ref = slow.remote()
try:
    say("waiting")
    ray.get(ref)
except KeyboardInterrupt:
    say("interrupted")
say(ray.get(ref))
"""
    )
    assert driver.line() == "waiting"
    driver.process.send_signal(signal.SIGINT)
    assert [driver.line(), driver.line()] == ["interrupted", "5"]
    assert driver.finish()[0] == 0
    assert driver.left() == []
