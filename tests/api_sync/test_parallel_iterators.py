import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.util.iter import (
    LocalIterator,
    ParallelIterator,
    ParallelIteratorWorker,
    from_actors,
    from_items,
    from_iterators,
    from_range,
)
from ray_async.util.iter.not_ready import NotReady
from ray_async.util.iter_metrics import MetricsContext, SharedMetrics


def local(items: Iterable[Any]) -> LocalIterator[Any]:
    """An iterator without actors."""
    return LocalIterator(lambda timeout: iter(items), SharedMetrics(), name="items")


def test_shards_are_dealt_or_cut() -> None:
    dealt = from_items([1, 2, 3], num_shards=2)
    assert [list(shard) for shard in dealt.shards()] == [[1, 3], [2]]
    cut = from_range(7, num_shards=3)
    assert [list(shard) for shard in cut.shards()] == [[0, 1], [2, 3], [4, 5, 6]]
    assert (dealt.num_shards(), cut.num_shards()) == (2, 3)
    assert repr(cut) == "ParallelIterator[from_range[7, shards=3]]"


def test_transformations_run_in_the_shards_in_order() -> None:
    numbers = from_range(6).for_each(lambda x: x + 1).filter(lambda x: x % 2 == 0).batch(2)
    assert [list(shard) for shard in numbers.shards()] == [[[2]], [[4, 6]]]
    assert sorted(numbers.flatten().gather_async()) == [2, 4, 6]
    assert from_range(2, 1).combine(lambda x: [x] * 2).take(9) == [0, 0, 1, 1]


def test_a_parallel_iterator_says_how_it_is_read() -> None:
    with pytest.raises(TypeError, match="gather_sync"):
        iter(from_range(1))
    with pytest.raises(ValueError, match="num_async"):
        from_range(1).gather_async(num_async=0)
    with pytest.raises(ValueError, match="no shard 5"):
        from_range(1).get_shard(5)
    with pytest.raises(ValueError, match="2 shards"):
        from_range(4).select_shards([0, 2])


def test_repeat_begins_again_and_refuses_what_can_be_read_once() -> None:
    assert from_items([1, 2], num_shards=1, repeat=True).take(5) == [1, 2, 1, 2, 1]
    once = from_iterators([lambda: iter([1])], repeat=True)
    assert once.take(2) == [1, 1]


def test_a_row_ends_with_the_shorter_shards() -> None:
    rows = from_iterators([[1, 2, 3], [4]]).batch_across_shards()
    assert list(rows) == [[1, 4], [2], [3]]


def test_repartition_deals_each_shard_out() -> None:
    again = from_range(9, num_shards=3).repartition(2)
    assert [sorted(shard) for shard in again.shards()] == [[0, 2, 3, 5, 6, 8], [1, 4, 7]]


def test_own_workers_and_the_actor_that_an_item_came_from() -> None:
    @ray.remote
    class Worker(ParallelIteratorWorker):
        def __init__(self, items: list[int]) -> None:
            super().__init__(items, False)

    actors = [Worker.remote([1]), Worker.remote([2])]
    pairs = from_actors(actors).gather_async().zip_with_source_actor()
    assert {item: actors.index(actor) for actor, item in pairs} == {1: 0, 2: 1}
    with pytest.raises(ValueError, match="gather_async"):
        from_range(1).gather_sync().zip_with_source_actor().take(1)


def test_iterators_travel_and_concurrent_calls_are_tasks() -> None:
    @ray.remote(num_cpus=0)
    def read(iterator: LocalIterator[int]) -> list[int]:
        return list(iterator)

    squares = from_range(4).for_each(lambda x: x * x, max_concurrency=2, resources={"num_cpus": 0.1})
    assert sorted(ray.get(read.remote(squares.gather_sync()), timeout=30)) == [0, 1, 4, 9]


def test_union_of_parallel_iterators_has_all_shards() -> None:
    both: ParallelIterator[Any] = from_items(["a"], 1).union(from_items(["b"], 1))
    assert list(both.gather_sync()) == ["a", "b"]
    with pytest.raises(ValueError, match="union"):
        both.select_shards([0])


def test_union_takes_what_is_ready() -> None:
    opened = threading.Event()

    def slow(timeout: float | None) -> Iterator[Any]:
        while not opened.wait(timeout):
            yield NotReady()
        yield "late"

    late: LocalIterator[str] = LocalIterator(slow, SharedMetrics())
    both = iter(late.union(local(["early"])))
    assert next(both) == "early"
    opened.set()
    assert list(both) == ["late"]


def test_union_by_weights_and_in_turn() -> None:
    assert list(local("abc").union(local("xy"), deterministic=True)) == ["a", "x", "b", "y", "c"]
    assert list(local("abcd").union(local("xy"), round_robin_weights=[2, 1])) == ["a", "b", "x", "c", "d", "y"]
    assert list(local("abc").union(local("xy"), round_robin_weights=["*", 1])) == ["a", "b", "c", "x", "y"]
    with pytest.raises(ValueError, match="weights"):
        local("a").union(local("b"), round_robin_weights=[1])
    with pytest.raises(ValueError, match="LocalIterator"):
        local("a").union([1])  # type: ignore[arg-type]


def test_duplicates_see_all_items() -> None:
    first, second = local([1, 2, 3]).duplicate(2)
    assert list(first) == [1, 2, 3] == list(second)
    left, right = local([1, 2]).duplicate(2)
    assert list(left.union(right)) == [1, 1, 2, 2]
    with pytest.raises(ValueError, match="2 iterators"):
        local([]).duplicate(1)


def test_shuffle_keeps_every_item_and_repeats_with_a_seed() -> None:
    orders = [list(local(range(50)).shuffle(10, seed=3)) for _ in range(2)]
    assert orders[0] == orders[1] != list(range(50))
    assert sorted(orders[0]) == list(range(50))


def test_metrics_belong_to_a_chain_and_are_shared_by_a_union() -> None:
    def count(name: str) -> Any:
        def counted(item: int) -> dict[str, float]:
            metrics = LocalIterator.get_metrics()
            with metrics.timers["work"]:
                metrics.counters[name] += item
            return dict(metrics.counters)

        return counted

    assert [seen["a"] for seen in local([1, 2]).for_each(count("a"))] == [1, 3]
    both = local([1]).for_each(count("a")).union(local([5]).for_each(count("b")), deterministic=True)
    assert list(both) == [{"a": 1}, {"a": 1, "b": 5}]
    timer = both.shared_metrics.get().timers["work"]
    assert timer.count == 2
    assert timer.mean == timer.total / 2
    with pytest.raises(ValueError, match="functions that an iterator calls"):
        LocalIterator.get_metrics()


def test_saved_metrics_come_back() -> None:
    metrics = MetricsContext()
    metrics.counters["n"] = 3
    metrics.info["x"] = "y"
    again = MetricsContext()
    again.restore(metrics.save())
    assert (again.counters["n"], again.info) == (3, {"x": "y"})


def test_a_fetch_hook_is_called_once_for_each_item() -> None:
    class Hooked:
        fetched = 0

        def _on_fetch_start(self) -> None:
            self.fetched += 1

        def __call__(self, item: int) -> int:
            return item + self.fetched

    assert list(local([10, 20]).for_each(Hooked())) == [11, 22]
