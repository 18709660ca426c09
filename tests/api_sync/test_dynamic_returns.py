"""``num_returns="dynamic"``: one reference to the references of all items."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.exceptions import RayTaskError


class Flaw(Exception):
    """What the generators below raise."""


@ray.remote(max_retries=0)
def broken(count: int) -> Iterator[int]:
    yield from range(count)
    raise Flaw("half-way")


@ray.remote
class Source:
    def broken(self, count: int) -> Iterator[int]:
        yield from range(count)
        raise Flaw("half-way")


@ray.remote(max_retries=1)
def broken_once(mark: Path) -> Iterator[int]:
    yield 0
    if not mark.exists():
        mark.touch()
        raise Flaw("first time")
    yield 1


@ray.remote(num_returns="dynamic")
async def asynchronous() -> AsyncIterator[int]:
    yield 0
    yield 1


@pytest.mark.parametrize("in_actor", [False, True])
def test_an_error_is_the_last_item(in_actor: bool) -> None:
    function = Source.remote().broken if in_actor else broken
    first, second, failed = ray.get(function.options(num_returns="dynamic").remote(2))
    assert ray.get([first, second]) == [0, 1]
    with pytest.raises(Flaw, match="half-way") as caught:
        ray.get(failed)
    assert isinstance(caught.value, RayTaskError)


def test_an_error_that_is_not_retried_stays(tmp_path: Path) -> None:
    first, failed = ray.get(broken_once.options(num_returns="dynamic").remote(tmp_path / "mark"))
    assert ray.get(first) == 0
    with pytest.raises(Flaw):
        ray.get(failed)


def test_a_retry_replaces_the_items(tmp_path: Path) -> None:
    retried = broken_once.options(num_returns="dynamic", retry_exceptions=[Flaw])
    assert [ray.get(item) for item in ray.get(retried.remote(tmp_path / "mark"))] == [0, 1]


def test_asynchronous_generator() -> None:
    assert [ray.get(item) for item in ray.get(asynchronous.remote())] == [0, 1]
