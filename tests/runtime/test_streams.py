"""Streams: their ends, as seen from both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=1, object_store_memory=100 << 20):
        yield


def test_a_stream_that_has_ended_has_no_next_item() -> None:
    @ray.remote
    def numbers() -> Iterator[int]:
        yield 1

    stream = numbers.remote()
    ray.get(stream.completed(), timeout=TIMEOUT_S)
    assert stream.next_ready()
    next(stream)
    assert not stream.next_ready()
    assert stream.is_finished()


class Producer:
    """Yields into a stream, and notes in a file how far it has come."""

    def numbers(self, path: str) -> Iterator[int]:
        for number in range(5):
            Path(path).write_text(str(number))
            yield number


class AsyncProducer:
    """The same on a loop."""

    async def numbers(self, path: str) -> Any:
        for number in range(5):
            Path(path).write_text(str(number))
            yield number


@pytest.mark.parametrize("cls", [Producer, AsyncProducer])
def test_a_producer_that_nobody_reads_any_more_is_not_held_up(cls: type, tmp_path: Path) -> None:
    actor: Any = ray.remote(cls).remote()
    path = tmp_path / "at"
    stream = actor.numbers.options(_generator_backpressure_num_objects=1).remote(str(path))
    assert ray.get(next(stream), timeout=TIMEOUT_S) == 0
    assert wait_until(lambda: path.read_text() == "1")
    del stream
    assert wait_until(lambda: path.read_text() == "4")
