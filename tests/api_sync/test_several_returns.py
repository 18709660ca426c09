"""Calls with several returns: what they may return instead of a tuple."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ray_async as ray


class Pair:
    """A user's type with a length."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(("first", "second"))


@ray.remote(num_returns=2)
def call(make: Callable[[], Any]) -> Any:
    return make()


@ray.remote(num_returns=2)
def items(count: int) -> Iterator[int]:
    yield from range(count)


@ray.remote
class Sync:
    @ray.method(num_returns=2)
    def call(self, make: Callable[[], Any]) -> Any:
        return make()

    @ray.method(num_returns=2)
    def items(self, count: int) -> Iterator[int]:
        yield from range(count)


@ray.remote
class Async:
    async def touch(self) -> None: ...

    @ray.method(num_returns=2)
    async def call(self, make: Callable[[], Any]) -> Any:
        return make()

    @ray.method(num_returns=2)
    def items(self, count: int) -> Iterator[int]:
        yield from range(count)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: (1, 2), [1, 2]),
        (lambda: [1, 2], [1, 2]),
        (lambda: "ab", ["a", "b"]),
        (lambda: b"ab", [97, 98]),
        (lambda: {"x": 1, "y": 2}, ["x", "y"]),
        (lambda: {"x": 1, "y": 2}.values(), [1, 2]),
        (lambda: range(2), [0, 1]),
        (lambda: np.arange(2), [0, 1]),
        (lambda: {None: 1, 2: 3}.keys(), [None, 2]),
        (Pair, ["first", "second"]),
    ],
)
def test_anything_with_a_length_that_iterates(make: Callable[[], Any], expected: list[Any]) -> None:
    for remote in (call, Sync.remote().call, Async.remote().call):
        assert ray.get(list(remote.remote(make))) == expected


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: 5, TypeError, "anything else that has a length"),
        (lambda: None, TypeError, "NoneType"),
        (lambda: iter([1, 2]), TypeError, "list_iterator"),
        (lambda: (1, 2, 3), ValueError, "returned 3 values"),
        (lambda: [], ValueError, "returned 0 values"),
        (lambda: "abc", ValueError, "returned 3 values"),
    ],
)
def test_others_are_refused(make: Callable[[], Any], error: type[Exception], words: str) -> None:
    for remote in (call, Sync.remote().call, Async.remote().call):
        for ref in remote.remote(make):
            with pytest.raises(error, match=words):
                ray.get(ref)


def test_a_generator_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    for remote in (items, Sync.remote().items, Async.remote().items):
        assert ray.get(list(remote.remote(5))) == [0, 1]


def test_a_generator_that_ends_too_early_is_an_error() -> None:
    for remote in (items, Sync.remote().items, Async.remote().items):
        _, second = remote.remote(1)
        with pytest.raises(ValueError, match="1 values"):
            ray.get(second)
