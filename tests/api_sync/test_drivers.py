"""Several drivers on one running node, started and stopped from the command line."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import ray_async as ray
from tests.resources import wait_until

PORT = "7911"
DRIVER = """
import os, sys, time
import ray_async as ray
ray.init(address="auto", namespace="theirs", log_to_driver=False)

@ray.remote
class Counter:
    def __init__(self): self.count = 0
    def add(self): self.count += 1; return self.count

@ray.remote
def sleep(): time.sleep(1000)

kept = Counter.options(name="kept", lifetime="detached", num_cpus=0).remote()
own = Counter.options(name="own", num_cpus=0).remote()
ray.get([kept.add.remote(), own.add.remote()])
ref = sleep.remote()
"""


def cli(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ray_async", *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """This module has a node of its own instead of a session."""
    cli("start", "--head", "--port", PORT, "--num-cpus", "2")
    yield
    cli("stop")
    assert (
        "No node"
        in subprocess.run(
            [sys.executable, "-m", "ray_async", "status"], capture_output=True, text=True, timeout=100, check=False
        ).stderr
    )


def start_driver(end: str) -> subprocess.Popen[str]:
    script = f"{DRIVER}\nprint('ready', flush=True)\n{end}"
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.mark.keeps_resources
def test_drivers_share_named_actors_and_die_alone() -> None:
    ray.init(address="auto", namespace="ours", log_to_driver=False)
    try:
        with start_driver("time.sleep(1000)") as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            kept = ray.get_actor("kept", namespace="theirs")
            own = ray.get_actor("own", namespace="theirs")
            with pytest.raises(ValueError):
                ray.get_actor("kept")
            assert ray.get([kept.add.remote(), own.add.remote()]) == [2, 2]
            other.send_signal(signal.SIGKILL)
        with pytest.raises(ray.exceptions.ActorDiedError):
            while True:
                ray.get(own.add.remote(), timeout=60)
        assert ray.get(kept.add.remote()) == 3

        @ray.remote(num_cpus=2)
        def all_cpus() -> int:
            return os.getpid()

        # The dead driver's task is gone, so that both CPUs are free.
        assert ray.get(all_cpus.remote(), timeout=60)
    finally:
        ray.shutdown()
    ray.init(address="auto", namespace="theirs", log_to_driver=False)
    try:
        survivor = ray.get_actor("kept")
        assert ray.get(survivor.add.remote()) == 4
        ray.kill(survivor)
    finally:
        ray.shutdown()


@pytest.mark.keeps_resources
def test_status_tells_of_the_node() -> None:
    assert "CPU" in cli("status")


GROUPS = """
import ray_async as ray
from ray_async.util import placement_group
ray.init(address="auto", namespace="groups", log_to_driver=False)

@ray.remote(num_cpus=0)
class Maker:
    def make(self, name):
        placement_group([{"CPU": 0.01}], name=name)

makers = [Maker.options(name="maker", lifetime="detached").remote(), Maker.remote()]
ray.get([maker.make.remote(name) for maker, name in zip(makers, ("of a detached actor", "of an actor"))])
placement_group([{"CPU": 0.01}], name="of a driver")
"""


@pytest.mark.keeps_resources
def test_a_placement_group_ends_with_its_job_or_with_the_detached_actor_that_made_it() -> None:
    with ray.init(address="auto", namespace="groups", log_to_driver=False):
        subprocess.run([sys.executable, "-c", GROUPS], check=True, timeout=100)

        def groups() -> dict[str, str]:
            return {row["name"]: row["state"] for row in ray.util.placement_group_table().values()}

        wait_until(lambda: groups()["of a driver"] == "REMOVED")
        assert groups() == {"of a detached actor": "CREATED", "of an actor": "REMOVED", "of a driver": "REMOVED"}
        ray.kill(ray.get_actor("maker"))
        wait_until(lambda: set(groups().values()) == {"REMOVED"})


@ray.remote(num_cpus=0)
class Crowd:
    """Makes placement groups for as long as it lives."""

    def make(self) -> None:
        def make() -> None:
            while True:
                ray.util.placement_group([{"CPU": 0.0001}])

        for _ in range(3):
            threading.Thread(target=make, daemon=True).start()


@pytest.mark.keeps_resources
def test_no_placement_group_stays_that_is_asked_for_while_its_detached_actor_dies() -> None:
    with ray.init(address="auto", namespace="groups", log_to_driver=False):
        for _ in range(3):
            crowd = Crowd.options(lifetime="detached").remote()
            ray.get(crowd.make.remote())
            wait_until(lambda: any(row["state"] == "CREATED" for row in ray.util.placement_group_table().values()))
            ray.kill(crowd)
            wait_until(lambda: {row["state"] for row in ray.util.placement_group_table().values()} == {"REMOVED"})
