import gc
from typing import Any

import numpy as np

import ray_async as ray
from ray_async.engine.state import StateKind
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

FAR = {"far": 1}
LARGE = 400_000


@ray.remote(resources=FAR)
def put_there(n: int) -> list[Any]:
    return [ray.put(np.full(n, 3.0)), ray.put({"small": n})]


def sizes(hosts: Hosts, index: int) -> list[int]:
    """Bytes of the large objects on a node."""
    rows = hosts.rows(hosts.nodes[index], StateKind.OBJECTS)
    return [row["object_size"] for row in rows if row["object_size"] > LARGE]


def test_what_was_put_there_is_read_here(two_hosts: Hosts) -> None:
    large, small = ray.get(put_there.remote(LARGE))
    assert ray.get(small) == {"small": LARGE}
    assert ray.get(large).sum() == 3 * LARGE


def test_a_large_object_stays_at_home_until_it_is_read(two_hosts: Hosts) -> None:
    large, _ = ray.get(put_there.remote(LARGE))
    ray.wait([large], fetch_local=False)
    assert sizes(two_hosts, 0) == []
    ray.get(large)
    assert len(sizes(two_hosts, 0)) == 1


def test_an_object_goes_at_home_when_nothing_refers_to_it_here(two_hosts: Hosts) -> None:
    wait_until(lambda: sizes(two_hosts, 1) == [])
    large, small = ray.get(put_there.remote(LARGE))
    ray.wait([large], fetch_local=False)
    assert len(sizes(two_hosts, 1)) == 1
    del large, small
    gc.collect()
    wait_until(lambda: sizes(two_hosts, 1) == [])


def test_a_large_result_goes_at_its_node_once_it_is_read(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def make() -> np.ndarray:
        return np.ones(LARGE)

    wait_until(lambda: sizes(two_hosts, 1) == [])
    ref = make.remote()
    ray.wait([ref], fetch_local=False)
    assert len(sizes(two_hosts, 1)) == 1
    assert ray.get(ref).sum() == LARGE
    wait_until(lambda: sizes(two_hosts, 1) == [])


def test_a_reference_that_comes_home_is_the_one_that_left(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def back(refs: list[Any]) -> list[Any]:
        return refs

    ref = ray.put(np.ones(LARGE))  # it is not read there, so it stays this node's
    (same,) = ray.get(back.remote([ref]))
    assert same == ref


def test_an_object_of_there_is_an_argument_there(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def total(array: np.ndarray) -> float:
        return float(array.sum())

    large, _ = ray.get(put_there.remote(LARGE))
    assert ray.get(total.remote(large)) == 3 * LARGE
    assert sizes(two_hosts, 0) == []  # it has not come here for that


def test_an_error_of_there(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    def fail() -> None:
        raise ValueError("bad")

    @ray.remote(resources=FAR, num_cpus=0.5)
    def refs() -> list[Any]:
        return [fail.options(num_cpus=0.5).remote()]

    (ref,) = ray.get(refs.remote())
    try:
        ray.get(ref)
    except ValueError as error:
        assert "bad" in str(error)
    else:
        raise AssertionError("no error came")


async def test_awaiting_what_lies_elsewhere(two_hosts: Hosts) -> None:
    large, small = await put_there.remote(LARGE)
    assert await small == {"small": LARGE}
    assert (await large).sum() == 3 * LARGE
