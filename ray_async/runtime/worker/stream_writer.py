"""Writing what a generator yields into its stream, whichever way the generator is run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async._core.execution import Executor
    from ray_async._core.record_facts import RecordFacts

__all__ = ("StreamWriter", "close_generator")


class StreamWriter:
    """The producer's end of one call's stream.

    Args:
        executor: the process's.
        record: of the call.
        facts: what the record says of itself.
        name: of the generator, for error messages.
    """

    __slots__ = ("_add", "_name", "_per_yield", "_skip", "limit", "stream")

    def __init__(self, executor: Executor, record: int, facts: RecordFacts, name: str) -> None:
        self.stream = executor.stream(record)
        self.limit = facts["backpressure"]  # unread items at which the generator pauses; 0: none
        self._add = self.stream.add
        self._name = name
        self._skip, _ = self.stream.position()  # a retry goes on after the items that exist already
        self._per_yield = executor.options(record).get("objects_per_yield", 1)

    def write(self, item: Any) -> None:
        """Make the objects of one ``yield`` items of the stream.

        Raises:
            KeyboardInterrupt: the call is cancelled.
            ValueError: the item is no tuple or list of as many objects as each ``yield`` has to give.
        """
        if self._per_yield == 1 and not self._skip:
            self._add(item)
            return
        for part in self._parts(item):
            if self._skip:
                self._skip -= 1
            else:
                self._add(part)

    def is_ahead(self) -> bool:
        """Whether the generator has to wait until items are read: not if nobody reads any more."""
        if not self.limit or self._skip:
            return False
        produced, consumed = self.stream.position()
        return produced - consumed >= self.limit and not self.stream.is_abandoned()

    def _parts(self, item: Any) -> tuple[Any, ...]:
        count = self._per_yield
        if count == 1:
            return (item,)
        if not isinstance(item, tuple | list) or len(item) != count:
            given = f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__
            raise ValueError(
                f"{self._name} must yield {count} values at a time (_num_objects_per_yield), but yielded {given}"
            )
        return tuple(item)


async def close_generator(items: Any) -> None:
    """Run the ``finally`` blocks of a generator, of either kind, that is not read to its end."""
    if isinstance(items, AsyncGenerator):
        await items.aclose()
    elif isinstance(items, Generator):
        items.close()
