import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.cluster.dask_adapter import ask_head
from ray_async.cluster.security import load_credentials
from tests.cluster.hosts import Hosts, meet
from tests.resources import wait_until

FAR = {"far": 1}


def node_id() -> str:
    return ray.get_runtime_context().get_node_id()


def test_what_finds_no_room_runs_elsewhere(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote
    def work(number: int) -> tuple[bool, str]:
        return meet(str(tmp_path), str(number), 3), node_id()

    found = ray.get([work.remote(n) for n in range(3)])
    assert [met for met, _ in found] == [True] * 3
    nodes = [node for _, node in found]
    assert sorted(map(nodes.count, set(nodes))) == [1, 2]


def test_work_stays_while_its_node_has_room(two_hosts: Hosts) -> None:
    @ray.remote
    def work() -> str:
        return node_id()

    own = two_hosts.id_of(two_hosts.first)
    assert {ray.get(work.remote()) for _ in range(20)} == {own}


@pytest.mark.parametrize("value", [None, 7, 2.5, "text", b"bytes", [1, {"a": (2, None)}], {1, 2}, range(3), 1 << 80])
def test_values_there_and_back(two_hosts: Hosts, value: Any) -> None:
    @ray.remote(resources=FAR)
    def echo(value: Any, *, key: Any) -> tuple[Any, Any]:
        return value, key

    found: Any = ray.get(echo.remote(value, key=value))
    assert found == (value, value)


def test_arrays_there_and_back(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def double(array: np.ndarray, by_reference: np.ndarray, inside: dict[str, Any]) -> Any:
        return array + by_reference + ray.get(inside["ref"])

    array = np.arange(300_000.0)
    ref = ray.put(array)
    np.testing.assert_array_equal(ray.get(double.remote(array, ref, {"ref": ref, "more": array})), 3 * array)


def test_an_argument_that_is_not_there_yet(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote
    def first() -> int:
        wait_until((tmp_path / "go").exists)
        return 20

    @ray.remote(resources=FAR)
    def second(value: int) -> int:
        return value + 1

    ref = second.remote(first.remote())
    assert ray.wait([ref], timeout=0.2)[0] == []
    (tmp_path / "go").touch()
    assert ray.get(ref) == 21


def test_several_returns_and_options(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR, num_returns=3)
    def three() -> tuple[int, Any, str | None]:
        context = ray.get_runtime_context()
        return 1, np.ones(100_000), context.get_task_name()

    one, array, name = three.options(name="my name").remote()
    assert ray.get(one) == 1
    assert ray.get(array).sum() == 100_000
    assert ray.get(name) == "my name"


async def test_coroutines(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    assert await asyncio.gather(*(work.remote(n) for n in range(20))) == [2 * n for n in range(20)]


def test_errors_come_back_as_they_were_raised(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone") as caught:
        ray.get(fail.remote())
    assert isinstance(caught.value, ray.exceptions.RayTaskError)


def test_an_error_is_tried_again_where_that_was_asked_for(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote(resources=FAR, retry_exceptions=[OSError], max_retries=2)
    def work() -> int:
        tried = len(list(tmp_path.iterdir()))
        (tmp_path / str(tried)).touch()
        if tried < 2:
            raise OSError("not yet")
        return tried

    assert ray.get(work.remote()) == 2


def test_a_worker_that_crashes_there_takes_a_retry(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote(resources=FAR, max_retries=1)
    def work() -> str:
        tried = len(list(tmp_path.iterdir()))
        (tmp_path / str(tried)).touch()
        if tried == 0:
            os._exit(3)
        return "done"

    assert ray.get(work.remote()) == "done"


def test_a_crash_without_retries(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR, max_retries=0)
    def work() -> None:
        os._exit(3)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(work.remote())


@pytest.mark.parametrize("force", [False, True])
def test_a_cancel_reaches_the_other_node(two_hosts: Hosts, tmp_path: Path, force: bool) -> None:
    @ray.remote(resources=FAR, max_retries=0)
    def work() -> None:
        (tmp_path / "begun").write_text(str(os.getpid()))
        try:
            wait_until((tmp_path / "never").exists, timeout=100)
        except KeyboardInterrupt:
            (tmp_path / "interrupted").touch()
            raise

    ref = work.remote()
    wait_until(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text() != "")
    ray.cancel(ref, force=force)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref)
    assert (tmp_path / "interrupted").exists() is not force


def test_tasks_of_tasks(two_hosts: Hosts) -> None:
    @ray.remote(num_cpus=0)
    def child(n: int) -> int:
        return n + 1

    @ray.remote(resources=FAR)
    def parent(n: int) -> int:
        return sum(ray.get([child.remote(i) for i in range(n)]))

    assert ray.get(parent.remote(5)) == 15


def test_many_tasks(two_hosts: Hosts) -> None:
    @ray.remote(resources={"far": 0.01}, num_cpus=0.01)
    def work(n: int) -> int:
        return n

    assert ray.get([work.remote(n) for n in range(500)]) == list(range(500))


async def test_a_task_that_leaves_is_one_of_dask(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def work() -> None:
        pass

    credentials = load_credentials(two_hosts.credentials)
    before = await ask_head(credentials, two_hosts.head, "ray_batches")
    await work.remote()
    assert await ask_head(credentials, two_hosts.head, "ray_batches") > before


def test_what_there_is(two_hosts: Hosts) -> None:
    wait_until(lambda: len(ray.nodes()) == 2)
    assert ray.cluster_resources()["CPU"] == 3
    assert ray.cluster_resources()["far"] == 2
    wait_until(lambda: ray.available_resources().get("CPU") == 3)
    assert [row["IsHeadNode"] for row in ray.nodes()].count(True) >= 1


def test_what_is_printed_elsewhere_is_shown_here(two_hosts: Hosts) -> None:
    program = f"""
import sys
import ray_async as ray
ray.init(address={two_hosts.first.session_dir!r})

@ray.remote(resources={{"far": 1}})
def speak():
    print("said there")

@ray.remote(resources={{"far": 0.1}}, num_cpus=0)
class Speaker:
    def speak(self):
        print("said by an actor")

speaker = Speaker.remote()
ray.get([speak.remote(), speaker.speak.remote()])
sys.stdin.read()
"""
    ran = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert ran.stdin is not None and ran.stdout is not None
    with ran, ran.stdin, ran.stdout:
        expected = {"said there", "said by an actor"}
        while expected:
            line = ran.stdout.readline()
            assert line, f"{expected} was not shown"
            expected = {text for text in expected if text not in line}
