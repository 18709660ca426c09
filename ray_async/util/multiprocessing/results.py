"""Results of a `Pool`'s methods, which are there before the work is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from multiprocessing import TimeoutError
from typing import Any

import ray_async as ray

__all__ = ("AsyncResult", "IMapIterator", "Outcome")


class Outcome:
    """The value of one call, or the exception that it raised."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return Outcome, (self.value, self.error)

    def unwrap(self) -> Any:
        """Return the value or raise the exception."""
        if self.error is not None:
            raise self.error
        return self.value


class AsyncResult:
    """The result of `apply_async`, `map_async` or `starmap_async`.

    Args:
        refs: references of batches, each a list of outcomes.
        callback: called with the result once it is there.
        error_callback: called with the exception if there is one.
        single: whether the result is one value instead of a list.
    """

    def __init__(
        self,
        refs: list[Any],
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
        single: bool = False,
    ) -> None:
        self._refs = refs
        self._single = single
        self._outcome: Outcome | None = None
        if callback is not None or error_callback is not None:
            threading.Thread(target=self._call_back, args=(callback, error_callback), daemon=True).start()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is there, or for `timeout` seconds."""
        if self._refs:
            ray.wait(self._refs, num_returns=len(self._refs), timeout=timeout)

    def ready(self) -> bool:
        """Whether the result is there."""
        return not self._refs or len(ray.wait(self._refs, num_returns=len(self._refs), timeout=0)[0]) == len(self._refs)

    def successful(self) -> bool:
        """Whether all calls returned.

        Raises:
            ValueError: the result is not there yet.
        """
        if not self.ready():
            raise ValueError("the result is not ready yet")
        return self._collect().error is None

    def get(self, timeout: float | None = None) -> Any:
        """Return the result, or raise the first exception of a call.

        Args:
            timeout: seconds to wait for it; None waits as long as it takes.

        Raises:
            multiprocessing.TimeoutError: it was not there in time.
        """
        self.wait(timeout)
        if timeout is not None and not self.ready():
            raise TimeoutError(f"the result was not ready within {timeout} s")
        return self._collect().unwrap()

    def _collect(self) -> Outcome:
        if self._outcome is None:
            self._outcome = self._combine()
        return self._outcome

    def _combine(self) -> Outcome:
        try:
            batches: list[list[Outcome]] = ray.get(self._refs)
        except Exception as error:  # a worker died: that is the result
            return Outcome(error=error)
        outcomes = [outcome for batch in batches for outcome in batch]
        failed = next((outcome for outcome in outcomes if outcome.error is not None), None)
        if failed is not None:
            return failed
        values = [outcome.value for outcome in outcomes]
        return Outcome(values[0] if self._single else values)

    def _call_back(
        self, callback: Callable[[Any], Any] | None, error_callback: Callable[[BaseException], Any] | None
    ) -> None:
        self.wait()
        outcome = self._collect()
        if outcome.error is None and callback is not None:
            callback(outcome.value)
        elif outcome.error is not None and error_callback is not None:
            error_callback(outcome.error)


class IMapIterator:
    """The results of `imap` (in order) or `imap_unordered` (as they are ready).

    Args:
        submit: starts the next batch and returns its reference; None when nothing is left.
        ahead: batches in flight at most.
        ordered: whether results come in the order of the items.
    """

    def __init__(self, submit: Callable[[], Any], ahead: int, ordered: bool) -> None:
        self._submit = submit
        self._ordered = ordered
        self._running: list[Any] = []
        self._outcomes: Iterator[Outcome] = iter(())
        for _ in range(ahead):
            self._start_one()

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result; of a call that failed, its exception, so that iteration can go on.

        Args:
            timeout: seconds to wait for it; None waits as long as it takes.

        Raises:
            StopIteration: there is none.
            multiprocessing.TimeoutError: it was not there in time.
        """
        outcome = next(self._outcomes, None)
        while outcome is None:
            if not self._running:
                raise StopIteration
            ready, _ = ray.wait(self._running[:1] if self._ordered else self._running, timeout=timeout)
            if not ready:
                raise TimeoutError(f"the next result was not ready within {timeout} s")
            self._running.remove(ready[0])
            self._start_one()
            self._outcomes = iter(ray.get(ready[0]))
            outcome = next(self._outcomes, None)
        return outcome.value if outcome.error is None else outcome.error

    def _start_one(self) -> None:
        ref = self._submit()
        if ref is not None:
            self._running.append(ref)
