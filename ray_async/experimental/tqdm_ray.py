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
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ("MAGIC", "BarManager", "instance", "safe_print", "tqdm")

T = TypeVar("T")
State = dict[str, Any]

MAGIC = "__ray_async_tqdm__:"
"""What a line starts with that carries the state of a bar."""

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
        self.refresh()

    def __enter__(self) -> tqdm[T]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def set_description(self, desc: str) -> None:
        """Change the words before the bar."""
        self._desc = desc
        self._send(force=False)

    def update(self, n: int = 1) -> None:
        """Say that `n` more steps are done."""
        self._done += n
        self._send(force=False)

    def refresh(self) -> None:
        """Draw the present state."""
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


class _Bar:
    """One bar on the screen."""

    def __init__(self, make_bar: Callable[..., Any], state: State, offset: int) -> None:
        self.state = state
        self.bar = make_bar(
            desc=_description(state),
            total=state["total"],
            unit=state["unit"],
            position=offset + state["pos"],
            dynamic_ncols=True,
        )
        self.bar.n = state["x"]

    def show(self, state: State, offset: int) -> None:
        self.state = state
        self.bar.desc = _description(state)
        self.bar.total = state["total"]
        self.move(offset)
        # n is set, not added to: a state that was lost does no harm.
        self.bar.n = state["x"]

    def move(self, offset: int) -> None:
        position = -(offset + self.state["pos"])  # tqdm keeps chosen positions as negative numbers
        if self.bar.pos != position:
            self.bar.clear()
            self.bar.pos = position

    def close(self) -> None:
        self.bar.close()


class _UndrawnBar:
    """Stands in for tqdm's bar where tqdm is not installed."""

    def __init__(self, *, desc: str, total: int | None, position: int, **_: Any) -> None:
        self.desc, self.total, self.n, self.pos = desc, total, 0, -position

    def clear(self) -> None:
        """Draw nothing."""

    def refresh(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Draw nothing."""


class _BarGroup:
    """The bars of one process; they take neighbouring lines of the screen."""

    def __init__(self) -> None:
        self.bars_by_uuid: dict[str, _Bar] = {}
        self.offset = 0

    @property
    def lines(self) -> int:
        return 1 + max((bar.state["pos"] for bar in self.bars_by_uuid.values()), default=-1)


class BarManager:
    """Draws the bars of all processes, one process below the other.

    Args:
        make_bar: makes a bar, with tqdm's arguments; `tqdm.tqdm` by default.

    Attributes:
        bar_groups: the bars of each process, by its address and id.
        in_hidden_state: whether the bars are off the screen for the moment.
        num_hides: how often they were taken off.
    """

    def __init__(self, make_bar: Callable[..., Any] | None = None) -> None:
        self._make_bar = make_bar
        self._lock = threading.RLock()
        self.bar_groups: dict[tuple[str, int], _BarGroup] = {}
        self.in_hidden_state = False
        self.num_hides = 0

    def process(self, line: str) -> bool:
        """Draw what a line of a worker says; False if it is an ordinary line."""
        if not line.startswith(MAGIC):
            return False
        try:
            state = json.loads(line.removeprefix(MAGIC))
            known = {key: state[key] for key in ("uuid", "pid", "desc", "total", "unit", "pos", "x", "closed")}
        except (ValueError, TypeError, KeyError):
            return False  # something else that looks like it: the user shall see it
        self.process_state({**known, "ip": state.get("ip", "")})
        return True

    def process_state(self, state: State) -> None:
        """Draw, move or close the bar whose state this is."""
        key = (str(state.get("ip", "")), int(state["pid"]))
        with self._lock:
            group = self.bar_groups.setdefault(key, _BarGroup())
            bar = group.bars_by_uuid.get(state["uuid"])
            if bar is None:
                bar = group.bars_by_uuid[state["uuid"]] = _Bar(self._factory(), state, group.offset)
            else:
                bar.show(state, group.offset)
            if not self.in_hidden_state:
                bar.bar.refresh()
            if state["closed"]:
                bar.close()
                del group.bars_by_uuid[state["uuid"]]
                if not group.bars_by_uuid:
                    del self.bar_groups[key]
            self._arrange()

    def hide(self) -> None:
        """Take the bars off the screen, so that lines can be printed."""
        with self._lock:
            if self.in_hidden_state or not self.bar_groups:
                return
            self.in_hidden_state = True
            self.num_hides += 1
            for bar in self._bars():
                bar.bar.clear()

    def unhide(self) -> None:
        """Draw the bars again."""
        with self._lock:
            if not self.in_hidden_state:
                return
            self.in_hidden_state = False
            for bar in self._bars():
                bar.bar.refresh()

    def _bars(self) -> Iterator[_Bar]:
        for group in self.bar_groups.values():
            yield from group.bars_by_uuid.values()

    def _arrange(self) -> None:
        offset = 0
        for group in self.bar_groups.values():
            if group.offset != offset:
                group.offset = offset
                for bar in group.bars_by_uuid.values():
                    bar.move(offset)
                    if not self.in_hidden_state:
                        bar.bar.refresh()
            offset += group.lines

    def _factory(self) -> Callable[..., Any]:
        if self._make_bar is None:
            try:
                from tqdm import tqdm as plain_bar
            except ImportError:
                warnings.warn("progress bars are not drawn: install tqdm, or ray_async[default]", stacklevel=2)
                self._make_bar = _UndrawnBar
            else:

                class TerminalBar(plain_bar):  # type: ignore[misc]
                    monitor_interval = 0  # tqdm's own thread has nothing to do: the manager refreshes

                self._make_bar = TerminalBar
        return self._make_bar


_manager: BarManager | None = None


def instance() -> BarManager:
    """Return the manager of this process."""
    global _manager
    if _manager is None:
        _manager = BarManager()
    return _manager


def safe_print(*args: Any, **kwargs: Any) -> None:
    """Print like `print`, above the bars."""
    manager = instance()
    manager.hide()
    try:
        builtins.print(*args, **kwargs)
    finally:
        manager.unhide()


def _description(state: State) -> str:
    desc = str(state["desc"])
    return desc if state["pid"] == os.getpid() else f"(pid={state['pid']}) {desc}".rstrip()
