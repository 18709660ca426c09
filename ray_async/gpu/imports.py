"""Allocations of other processes that are open in this one, each once, until the last view of it is gone.

A *loan* keeps one received hand-over: arrays and their views keep the loan. When it dies, wherever that is, it only
writes its name on a list. The agent then waits until the streams that used it have come past that moment, closes the
allocation if it was the last of its loans, and only then gives the reference back: the owner never frees memory that is
open here, nor memory that a kernel still reads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ray_async.gpu.backend import DeviceBackend, MemoryGoneError
from ray_async.gpu.hand_over import DeviceSource
from ray_async.gpu.identity import ProcessIdentity

_CLOSING_S = 30.0
_Key = tuple[ProcessIdentity, int, int]

__all__ = ("Imports", "Loan", "Mapping")


class Mapping:
    """An allocation of another process, open in this one."""

    __slots__ = ("address", "closed", "closing", "device", "error", "lent", "loans", "opened", "source")

    def __init__(self, source: DeviceSource, device: int) -> None:
        self.source = source
        self.device = device
        self.address = 0
        self.loans = 1
        self.closing = False
        self.opened = threading.Event()
        self.closed = threading.Event()
        self.error: BaseException | None = None
        # What is lent of it: first byte, end, and the reference that keeps it.
        self.lent: dict[int, tuple[int, int, Any]] = {}

    def root_of(self, start: int, size: int) -> Any:
        """The reference that keeps some bytes of the allocation; None if nothing here does."""
        held = list(self.lent.values())
        return next((root for first, end, root in held if first <= start and start + size <= end), None)


class _Return:
    """What is left of a loan whose last array is gone."""

    __slots__ = ("device", "event", "mapping", "refs", "stream")

    def __init__(self, loan: Loan) -> None:
        self.mapping = loan.mapping
        self.refs = loan.refs
        self.stream = loan.stream
        self.device = loan.device
        self.event: Any = None


class Loan:
    """Keeps a received hand-over for as long as arrays lie in its memory.

    Args:
        imports: those of this process.
        mapping: the open allocation; None if it is this process's own.
        refs: references to the hand-over; the last keeps the memory.
        stream: in which it arrived.
        device: whose stream that is.
    """

    __slots__ = ("_imports", "_pid", "device", "mapping", "refs", "stream")

    def __init__(
        self, imports: Imports, mapping: Mapping | None, refs: tuple[Any, ...], stream: Any, device: int
    ) -> None:
        self._imports = imports
        self._pid = os.getpid()
        self.mapping = mapping
        self.refs = refs
        self.stream = stream
        self.device = device

    def __del__(self) -> None:
        if os.getpid() == self._pid:  # a forked child has the parent's loans, and gives none of them back
            self._imports.note(self)


class Imports:
    """The open allocations of one process, through one device library.

    Args:
        backend: the library.
        wake: has the agent look soon; may be called anywhere, and takes no lock.
    """

    def __init__(self, backend: DeviceBackend, wake: Callable[[], None]) -> None:
        self._backend = backend
        self._wake: Callable[[], None] = wake
        self._lock = threading.Lock()
        self._open: dict[tuple[ProcessIdentity, int, int], Mapping] = {}
        self._by_address: dict[int, Mapping] = {}
        self._noted: deque[_Return] = deque()
        self._waiting: list[_Return] = []
        self.opens = 0

    def open(self, source: DeviceSource, device: int) -> Mapping:
        """The allocation, opened if it is not open yet, with one more loan.

        Raises:
            MemoryGoneError: it is not there any more.
        """
        key = source.process, source.base.address, source.base.generation
        mapping, is_new = self._enter(key, source, device)
        while mapping.closing:
            # What lay at that address before, or this again: the same handle is not opened twice at a time.
            self._wake()
            if not mapping.closed.wait(_CLOSING_S):
                raise MemoryGoneError(f"memory of {source.process} that was freed is still in use here")
            mapping, is_new = self._enter(key, source, device)
        if not is_new:
            mapping.opened.wait()
        else:
            try:
                mapping.address = self._backend.open_base(source.handle, device)
                self.opens += 1
                with self._lock:
                    self._by_address[mapping.address] = mapping
            except BaseException as error:
                mapping.error = error
                with self._lock:
                    del self._open[key]
            finally:
                mapping.opened.set()
        if mapping.error is not None:
            raise mapping.error
        return mapping

    def _enter(self, key: _Key, source: DeviceSource, device: int) -> tuple[Mapping, bool]:
        """The mapping to use, and whether it is the caller's to open; or one that is in the way, which is closing."""
        with self._lock:
            mapping = self._open.get(key)
            if mapping is not None and not mapping.closing:
                mapping.loans += 1
                return mapping, False
            for other, older in self._open.items():
                if other[:2] == key[:2]:
                    older.closing = older.closing or other != key
                    return older, False
            mapping = self._open[key] = Mapping(source, device)
            return mapping, True

    def lend(
        self, mapping: Mapping | None, refs: tuple[Any, ...], stream: Any, device: int, extent: tuple[int, int]
    ) -> Loan:
        """A loan of some bytes, for arrays; of an open allocation it is one that `open` has counted."""
        loan = Loan(self, mapping, refs, stream, device)
        if mapping is not None:
            start, size = extent
            mapping.lent[id(loan)] = start, start + size, refs[-1]
        return loan

    def at(self, address: int) -> Mapping | None:
        """The allocation that is open at an address of this process."""
        with self._lock:
            return self._by_address.get(address)

    def note(self, loan: Loan) -> None:
        """A loan has ended. Called wherever an array may die: it takes no lock and calls nobody."""
        self._noted.append(_Return(loan))
        if loan.mapping is not None:
            loan.mapping.lent.pop(id(loan), None)
        self._wake()

    def sweep(self) -> int:
        """Take loans back whose streams have come past their end; returns how many have not."""
        while self._noted:
            ended = self._noted.popleft()
            ended.event = self._backend.new_event(ended.device)
            self._backend.record(ended.event, ended.stream)
            self._waiting.append(ended)
        waiting, self._waiting = self._waiting, []
        while waiting:
            ended = waiting.pop()
            if not self._backend.happened(ended.event):
                self._waiting.append(ended)
                continue
            try:
                self._take_back(ended.mapping)
            except BaseException:
                self._waiting += waiting  # what has failed is over all the same
                raise
            finally:
                ended.refs = ()
        return len(self._waiting)

    def _take_back(self, mapping: Mapping | None) -> None:
        if mapping is None:
            return
        with self._lock:
            mapping.loans -= 1
            if mapping.loans:
                return
            mapping.closing = True
            del self._by_address[mapping.address]
        source = mapping.source
        try:
            self._backend.close_base(mapping.address, mapping.device)
        finally:
            with self._lock:
                del self._open[source.process, source.base.address, source.base.generation]
            mapping.closed.set()

    def rows(self) -> list[tuple[DeviceSource, int]]:
        """The open allocations, each with its number of loans."""
        with self._lock:
            return [(mapping.source, mapping.loans) for mapping in self._open.values()]
