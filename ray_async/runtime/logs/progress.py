"""Progress bars of all processes on the driver's terminal.

A bar in a worker writes its state to stdout, as a line that starts with a mark and goes on in JSON. The driver's log
sink hands such lines to `Bars`, which passes them to the `BarManager` of the process; that draws them with tqdm.
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ("MAGIC", "BarManager", "Bars", "instance")

State = dict[str, Any]

MAGIC = "__ray_async_tqdm__:"
"""What a line starts with that carries the state of a bar."""


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
_manager_lock = threading.Lock()


def instance() -> BarManager:
    """Return the manager of this process."""
    global _manager
    with _manager_lock:
        if _manager is None:
            _manager = BarManager()
        return _manager


def _description(state: State) -> str:
    desc = str(state["desc"])
    return desc if state["pid"] == os.getpid() else f"(pid={state['pid']}) {desc}".rstrip()


class Bars:
    """The progress bars of this process as the log sink knows them; there is no manager before the first bar."""

    def process(self, line: str) -> bool:
        """Draw what the line says; False if it says nothing about a bar."""
        return line.startswith(MAGIC) and instance().process(line)

    def hide(self) -> None:
        """Take the bars off the screen, to print above them."""
        if _manager is not None:
            _manager.hide()

    def unhide(self) -> None:
        """Draw the bars again."""
        if _manager is not None:
            _manager.unhide()
