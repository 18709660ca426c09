"""Which items make a batch, and when: a pure decision, on a clock of the test's."""

from collections.abc import Callable
from typing import Any

import pytest

from ray_async.serve.batching.forming import Forming, Item


class Call(Item):
    """An item whose caller goes when the test says so."""

    left = False

    @property
    def gone(self) -> bool:
        return self.left

    def __repr__(self) -> str:
        return f"{self.value}"


def values(batch: list[Call] | None) -> list[Any] | None:
    return None if batch is None else [item.value for item in batch]


def filled(forming: Forming[Call], *items: tuple[Any, str, float]) -> list[Call]:
    calls = [Call(*item) for item in items]
    for call in calls:
        forming.add(call)
    return calls


def test_a_batch_is_due_when_full_or_when_its_first_item_has_waited() -> None:
    forming: Forming[Call] = Forming(3, 1.0)
    assert (forming.take(5), forming.due_at()) == (None, None)
    filled(forming, (1, "", 10), (2, "", 10.5))
    assert (forming.take(10.9), forming.due_at()) == (None, 11)
    filled(forming, (3, "", 10.9), (4, "", 10.9))
    assert forming.due_at() == 10
    assert values(forming.take(10.9)) == [1, 2, 3]
    # The wait counts from an item's own arrival, not from the end of the batch before.
    assert (forming.take(11.5), forming.due_at()) == (None, 11.9)
    assert values(forming.take(11.9)) == [4]
    assert (forming.take(20), forming.due_at()) == (None, None)


def test_models_have_batches_of_their_own_that_are_full() -> None:
    forming: Forming[Call] = Forming(8, 1.0)
    filled(forming, *((n, "ab"[n % 2], 0) for n in range(32)))
    batches = [forming.take(0) for _ in range(5)]
    assert [len(batch or ()) for batch in batches] == [8, 8, 8, 8, 0]
    assert [{item.model_id for item in batch} for batch in batches if batch] == [{"a"}, {"b"}, {"a"}, {"b"}]


def test_a_lone_model_waits_no_longer_than_its_time_and_one_batch() -> None:
    forming: Forming[Call] = Forming(4, 1.0)
    filled(forming, *((n, "a", 0.0) for n in range(40)))
    assert {item.model_id for item in forming.take(0) or ()} == {"a"}
    filled(forming, ("lone", "c", 0.5))
    assert {item.model_id for item in forming.take(1.4) or ()} == {"a"}
    assert values(forming.take(1.5)) == ["lone"]


def test_items_that_nobody_waits_for_make_room() -> None:
    forming: Forming[Call] = Forming(3, 1.0)
    calls = filled(forming, *((n, "", n / 10) for n in range(5)))
    calls[0].left = calls[2].left = True
    assert values(forming.take(0.5)) == [1, 3, 4]
    calls = filled(forming, *((n, "", 0) for n in range(3)))
    for call in calls:
        call.left = True
    assert (forming.take(50), forming.due_at()) == (None, None)


def total(items: list[Any]) -> Any:
    return sum(len(item) for item in items)


def test_sizes_are_measured() -> None:
    forming: Forming[Call] = Forming(5, 1.0, total)
    filled(forming, ("aa", "", 0), ("bb", "", 0), ("cc", "", 0))
    assert values(forming.take(0)) == ["aa", "bb"]
    assert forming.take(0) is None
    filled(forming, ("ddd", "", 0))
    assert values(forming.take(0)) == ["cc", "ddd"]


@pytest.mark.parametrize(
    ("measure", "value", "error"),
    [(total, None, TypeError), (total, "toolong", ValueError), (lambda items: "size", "a", TypeError)],
)
def test_an_item_that_cannot_be_measured_fails_alone(
    measure: Callable[[list[Any]], Any], value: Any, error: type[Exception]
) -> None:
    forming: Forming[Call] = Forming(5, 1.0, measure)
    filled(forming, (value, "", 0))
    assert [(item.value, type(reason)) for item, reason in forming.failed] == [(value, error)]
    assert forming.due_at() is None


def test_a_measure_that_fails_for_a_combination_fails_the_last_item() -> None:
    def measure(items: list[Any]) -> int:
        if items == ["a", "b"]:
            raise KeyError("not together")
        return len(items)

    forming: Forming[Call] = Forming(5, 1.0, measure)
    filled(forming, ("a", "", 0), ("b", "", 0), ("c", "", 0))
    assert [item.value for item, _ in forming.failed] == ["b"]
    assert values(forming.take(1)) == ["a", "c"]


def test_another_size_holds_for_what_waits() -> None:
    forming: Forming[Call] = Forming(10, 1.0)
    filled(forming, *((n, "", 0) for n in range(5)))
    assert forming.take(0) is None
    forming.resize(2)
    assert [values(forming.take(0)) for _ in range(3)] == [[0, 1], [2, 3], None]
    forming.resize(1)
    assert values(forming.take(0)) == [4]
