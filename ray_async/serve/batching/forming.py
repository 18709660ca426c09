"""Forming of batches: which items go together, and when. Pure: the time is handed in, and nothing is run here."""

from __future__ import annotations

import numbers
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ("Forming", "Item")

Measure = Callable[[list[Any]], Any]


class Item:
    """One call that waits for its batch.

    Args:
        value: What a size function sees of it: the first argument.
        model_id: The model that is asked for; a batch has one model.
        arrived: When it came.
    """

    def __init__(self, value: Any, model_id: str, arrived: float) -> None:
        self.value = value
        self.model_id = model_id
        self.arrived = arrived

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return False


T = TypeVar("T", bound=Item)


class _Group(Generic[T]):
    """The items of one model: those of the next batch, and those behind them."""

    def __init__(self) -> None:
        self.head: list[T] = []
        self.rest: deque[T] = deque()
        self.full = False
        self.served = 0


class Forming(Generic[T]):
    """Items that wait, by model; gives the batches that are due.

    A batch is due when nothing more fits, or when its first item has waited long enough. Of several models that have a
    batch due, the one goes first that has been served least recently.

    Args:
        max_size: The most that a batch may hold.
        wait_s: Seconds that a batch's first item waits for others.
        measure: Gives the size of a list of items' values; None: their number.
    """

    def __init__(self, max_size: int, wait_s: float, measure: Measure | None = None) -> None:
        self.max_size = max_size
        self.wait_s = wait_s
        self.failed: list[tuple[T, Exception]] = []  # items that cannot be measured, with the reason; for the caller
        self._measure = measure
        self._groups: dict[str, _Group[T]] = {}
        self._turns = 0

    def add(self, item: T) -> None:
        """Let an item wait; one that is too large for any batch is among `failed` instead."""
        if self._measure is not None and not self._fits_alone(item):
            return
        group = self._groups.get(item.model_id)
        if group is None:
            group = self._groups[item.model_id] = _Group()
        if self._measure is not None or group.full or group.rest:
            group.rest.append(item)
            self._fill(group)
        else:
            self._join(group, item)

    def resize(self, max_size: int) -> None:
        """Allow batches of another size, those that are being formed included."""
        self.max_size = max_size
        for group in self._groups.values():
            self._fill_anew(group, (*group.head, *group.rest))

    def take(self, now: float) -> list[T] | None:
        """The next batch that is due; it waits no longer. None if there is none.

        Args:
            now: The time, on the clock of the items' arrival.
        """
        due: list[tuple[int, float, str]] = []
        for model_id, group in list(self._groups.items()):
            self._prune(group)
            if not group.head:
                del self._groups[model_id]
            elif group.full or now >= group.head[0].arrived + self.wait_s:
                due.append((group.served, group.head[0].arrived, model_id))
        if not due:
            return None
        group = self._groups[min(due)[2]]
        self._turns += 1
        group.served = self._turns
        batch = group.head
        self._fill_anew(group, group.rest)
        return batch

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return sum(len(group.head) + len(group.rest) for group in self._groups.values())

    def due_at(self) -> float | None:
        """When the next batch is due, as far as is known now; None when nothing waits."""
        times = [
            group.head[0].arrived + (0 if group.full else self.wait_s) for group in self._groups.values() if group.head
        ]
        return min(times, default=None)

    def _prune(self, group: _Group[T]) -> None:
        if any(item.gone for item in group.head):
            self._fill_anew(group, [item for item in (*group.head, *group.rest) if not item.gone])

    def _fill_anew(self, group: _Group[T], items: Sequence[T]) -> None:
        group.head, group.rest, group.full = [], deque(items), False
        self._fill(group)

    def _join(self, group: _Group[T], item: T) -> None:
        """Put an item that counts as one into a batch that has room."""
        group.head.append(item)
        group.full = len(group.head) >= self.max_size

    def _fill(self, group: _Group[T]) -> None:
        if self._measure is None:
            while group.rest and not group.full:
                self._join(group, group.rest.popleft())
            return
        while group.rest and not group.full:
            item = group.rest[0]
            try:
                size = self._size([*group.head, item])
            except Exception as error:  # the user's function
                self.failed.append((group.rest.popleft(), error))
                continue
            if size <= self.max_size or not group.head:
                group.head.append(group.rest.popleft())
            group.full = size >= self.max_size

    def _fits_alone(self, item: T) -> bool:
        try:
            size = self._size([item])
            if size > self.max_size:
                raise ValueError(f"an item of size {size} is larger than max_batch_size={self.max_size}")
        except Exception as error:  # the user's function, or what it says
            self.failed.append((item, error))
            return False
        return True

    def _size(self, items: list[T]) -> float:
        assert self._measure is not None
        size = self._measure([item.value for item in items])
        if not isinstance(size, numbers.Real):
            raise TypeError(f"batch_size_fn must give a number, but gave {size!r}")
        return float(size)
