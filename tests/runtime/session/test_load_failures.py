"""Values whose loading raises: the error says what could not be loaded, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError, RaySystemError, RayTaskError

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


class Broken:
    """Can be pickled, and not be loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


class StopsLoading:
    """Raises at loading what means the end of a stream elsewhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return next, (iter(()),)


class Refuses:
    """Named by its pickle."""

    def __setstate__(self, state: object) -> None:
        raise LookupError("refused")

    def __getstate__(self) -> dict[str, int]:
        return {"some": 1}


@ray.remote
def take(*args: object, **kwargs: object) -> None:
    """Never called."""


@ray.remote
async def take_async(*args: object, **kwargs: object) -> None:
    """Never called."""


@ray.remote
def give(cls: type) -> object:
    return cls()


@ray.remote
class Holder:
    """Takes anything."""

    def __init__(self, *args: object) -> None:
        pass

    def take(self, *args: object) -> None:
        """Never called."""


@pytest.mark.parametrize("make", [lambda: ray.put(Broken()), lambda: give.remote(Broken)])
def test_a_value_that_cannot_be_loaded_is_named(make: Callable[[], Any]) -> None:
    ref = make()
    with pytest.raises(RaySystemError) as caught:
        ray.get(ref, timeout=TIMEOUT_S)
    assert f"the value of {ref!r} could not be loaded in this process: ValueError: invalid literal" in str(caught.value)
    assert type(caught.value.__cause__) is ValueError


def test_classes_inside_are_named() -> None:
    with pytest.raises(RaySystemError, match=r"which holds [\w.]*test_load_failures\.Refuses, could not be loaded"):
        ray.get(ray.put([1, Refuses()]))


async def test_awaiting_a_value_that_cannot_be_loaded() -> None:
    for cls, kind in ((Broken, ValueError), (StopsLoading, StopIteration)):
        with pytest.raises(RaySystemError, match="could not be loaded") as caught:
            await give.remote(cls)
        assert type(caught.value.__cause__) is kind


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: take.remote(Broken()), "argument 1 "),
        (lambda: take.remote(1, [2, (Broken(),)], 3), "argument 2 "),
        (lambda: take.remote(1, 2, 3, 4, {5: Broken()}, ray.put(6)), "argument 5 "),
        (lambda: take.remote(ray.put(1), key={"x": Broken()}, other=3), "argument 'key' "),
        (lambda: take_async.remote(1, Broken()), "argument 2 "),
        (lambda: Holder.remote().take.remote(1, 2, Broken()), "argument 3 "),
        (lambda: take.remote(1, ray.put(Broken())), "argument 2: the value of ObjectRef("),
        (lambda: take.remote(1, key=ray.put(Broken())), "argument 'key': the value of ObjectRef("),
        (lambda: take_async.remote(1, key=ray.put(Broken())), "argument 'key': the value of ObjectRef("),
    ],
)
def test_an_argument_that_cannot_be_loaded_is_named(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(RayTaskError) as caught:
        ray.get(call(), timeout=TIMEOUT_S)
    assert RaySystemError in type(caught.value).__mro__
    assert f"System error: {words}" in str(caught.value)
    assert "could not be loaded in this process: ValueError: invalid literal" in str(caught.value)
    assert type(caught.value.cause.__cause__) is ValueError


def test_an_argument_of_a_constructor_is_named() -> None:
    with pytest.raises(ActorDiedError, match="System error: argument 2 could not be loaded"):
        ray.get(Holder.remote(1, Broken()).take.remote(), timeout=TIMEOUT_S)
