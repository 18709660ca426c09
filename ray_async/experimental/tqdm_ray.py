"""Progress bars of many workers on the driver's terminal.

A bar in a worker writes its state to stdout, as a line that starts with a mark and goes on in JSON. The driver's log
sink hands such lines to the `BarManager` of the driver, which draws them with tqdm; ordinary lines are printed above.
A bar in the driver itself talks to the manager directly.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from ray_async.runtime.logs.progress import MAGIC, BarManager, instance

__all__ = ("MAGIC", "BarManager", "instance", "safe_print", "tqdm")

T = TypeVar("T")
_IN_WORKER = "RAY_ASYNC_WORKER"


class tqdm(Generic[T]):
    """A progress bar that works in tasks, actors and the driver.

    Args:
        iterable: what to iterate over; its length is the total unless one is given.
        desc: the words before the bar.
        total: the number of steps, if known.
        unit: what a step is called.
        position: the bar's line among those of its process, from 0.
        flush_interval_s: the shortest time between two updates of the screen, in seconds.

    Example:
        >>> for item in tqdm(range(1000), desc="load"):
        ...     work(item)
    """

    def __init__(
        self,
        iterable: Iterable[T] | None = None,
        desc: str | None = None,
        total: int | None = None,
        unit: str | None = None,
        position: int | None = None,
        flush_interval_s: float = 1.0,
    ) -> None:
        self._iterable = iterable
        self._desc = desc or ""
        self._total = len(iterable) if total is None and hasattr(iterable, "__len__") else total  # type: ignore[arg-type]
        self._unit = unit or "it"
        self._position = position or 0
        self._flush_interval_s = flush_interval_s
        self._uuid = uuid.uuid4().hex
        self._done = 0
        self._closed = False
        self._flushed_at = float("-inf")

    def __iter__(self) -> Iterator[T]:
        if self._iterable is None:
            raise ValueError("this bar was made without an iterable: call update() instead")
        self.refresh()
        for item in self._iterable:
            yield item
            self.update(1)
        self.close()

    def __enter__(self) -> tqdm[T]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def total(self) -> int | None:
        """The number of steps, None if it is not known; a new one is shown with the next update."""
        return self._total

    @total.setter
    def total(self, total: int | None) -> None:
        self._total = total
        if not self._closed:
            self._send(force=False)

    @property
    def n(self) -> int:
        """The number of steps done; set it to move the bar to a place."""
        return self._done

    @n.setter
    def n(self, n: int) -> None:
        self._done = n
        if not self._closed:
            self._send(force=False)

    def set_description(self, desc: str) -> None:
        """Change the words before the bar."""
        self._desc = desc
        if not self._closed:
            self._send(force=False)

    def update(self, n: int = 1) -> None:
        """Say that `n` more steps are done."""
        self._done += n
        if not self._closed:
            self._send(force=False)

    def refresh(self) -> None:
        """Draw the present state; nothing is drawn any more of a bar that is closed, or was iterated to its end."""
        if not self._closed:
            self._send(force=True)

    def close(self) -> None:
        """Draw the bar a last time; it stays on the screen as it is."""
        if not self._closed:
            self._closed = True
            self._send(force=True)

    def _send(self, force: bool) -> None:
        now = time.monotonic()
        if not force and now - self._flushed_at < self._flush_interval_s:
            return
        self._flushed_at = now
        state = {
            "uuid": self._uuid,
            "pid": os.getpid(),
            "desc": self._desc,
            "total": self._total,
            "unit": self._unit,
            "pos": self._position,
            "x": self._done,
            "closed": self._closed,
        }
        if os.environ.get(_IN_WORKER) == "1":
            # One write, so that the line stays whole when threads print.
            sys.stdout.write(f"{MAGIC}{json.dumps(state)}\n")
            sys.stdout.flush()
        else:
            instance().process_state(state)


def safe_print(*args: Any, **kwargs: Any) -> None:
    """Print like `print`, above the bars."""
    manager = instance()
    manager.hide()
    try:
        builtins.print(*args, **kwargs)
    finally:
        manager.unhide()
