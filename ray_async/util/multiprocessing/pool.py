"""A pool of worker processes with the interface of `multiprocessing.Pool`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import ray_async as ray
from ray_async.ignored_option import note_ignored
from ray_async.util.multiprocessing.globals import WorkerGlobals
from ray_async.util.multiprocessing.results import AsyncResult, IMapIterator, Outcome

__all__ = ("Pool", "start_session")

_Call = tuple[tuple[Any, ...], dict[str, Any]]
# Batches that each worker has in flight with imap: one runs, one waits.
_CHUNKS_AHEAD = 2


class _PoolWorker:
    def __init__(self, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> None:
        self._globals: WorkerGlobals | None = None
        if initializer is not None:
            self._globals = WorkerGlobals(initializer)
            initializer(*initargs)
            self._globals.take_changes()

    def ping(self) -> None:
        return None

    def run(self, function: Callable[..., Any], calls: Sequence[_Call]) -> list[Outcome]:
        if self._globals is None:
            return [self._run_one(function, args, kwargs) for args, kwargs in calls]
        with self._globals.seen_by(function):
            return [self._run_one(function, args, kwargs) for args, kwargs in calls]

    @staticmethod
    def _run_one(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
        try:
            return Outcome(function(*args, **kwargs))
        except Exception as error:  # it is raised where the result is asked for
            return Outcome(error=error)


class Pool:
    """Run functions in a fixed number of actors; the methods are those of `multiprocessing.Pool`.

    Workers take no CPU of the cluster's unless `ray_remote_args` says so.

    Args:
        processes: the number of workers; as many as the cluster has CPUs by default. A session that the pool starts
            has at least so many.
        initializer: called in each worker at its start. The functions of the pool see the global variables that it
            sets or changes, those of the program's main module too.
        initargs: the initializer's arguments.
        maxtasksperchild: calls after which a worker is replaced; None means never.
        context: has no effect, since workers are actors; noted in the log once when it is given.
        ray_address: the cluster to attach to, if this program is not attached yet.
        ray_remote_args: options of the actors.

    Raises:
        ValueError: `processes` is not positive, or more than the cluster's CPUs.

    Example:
        >>> with Pool(4) as pool:
        ...     pool.map(str.upper, ["a", "b"])
        ['A', 'B']
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] | None = None,
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:
        if processes is not None and processes <= 0:
            raise ValueError(f"processes must be positive, got {processes}")
        if context is not None:
            note_ignored("Pool(context=...)", "the workers are actors, which start in one way")
        if not ray.is_initialized():
            start_session(processes, ray_address)
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if processes is not None and processes > cpus:
            raise ValueError(f"the pool needs {processes} CPUs and the cluster has {cpus}; start it with more")
        # Without a CPU of their own the workers leave room for tasks beside them, and for pools inside their functions.
        self._options = {"num_cpus": 0, **(ray_remote_args or {})}
        self._initializer = initializer, tuple(initargs or ())
        self._max_calls = maxtasksperchild
        self._workers = [self._start_worker() for _ in range(processes or max(1, cpus))]
        ray.get([worker.ping.remote() for worker in self._workers])  # an initializer that fails raises here
        self._calls_of = [0] * len(self._workers)
        self._next_worker = itertools.cycle(range(len(self._workers)))
        self._pending: list[Any] = []
        self._closed = False

    def apply(self, func: Callable[..., Any], args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Call `func(*args, **kwargs)` in a worker and return its result."""
        return self.apply_async(func, args, kwargs).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
    ) -> AsyncResult:
        """Start `func(*args, **kwargs)` in a worker."""
        self._check_running()
        ref = self._submit(func, [(tuple(args or ()), dict(kwargs or {}))])
        return AsyncResult([ref], callback, error_callback, single=True)

    def map(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """Return `[func(item) for item in iterable]`; `chunksize` items are sent at once."""
        return list(self.map_async(func, iterable, chunksize).get())

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
    ) -> AsyncResult:
        """Start what `map` does."""
        return self.starmap_async(func, ((item,) for item in iterable), chunksize, callback, error_callback)

    def starmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """Return `[func(*items) for items in iterable]`."""
        return list(self.starmap_async(func, iterable, chunksize).get())

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
    ) -> AsyncResult:
        """Start what `starmap` does."""
        self._check_running()
        calls: list[_Call] = [(tuple(items), {}) for items in iterable]
        # As the standard library does: about four batches for each worker.
        size = chunksize or max(1, -(-len(calls) // (4 * len(self._workers))))
        refs = [self._submit(func, calls[start : start + size]) for start in range(0, len(calls), size)]
        return AsyncResult(refs, callback, error_callback)

    def imap(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = 1) -> IMapIterator:
        """Iterate over the results of `func(item)` in order; items are taken as results are."""
        return self._imap(func, iterable, chunksize, ordered=True)

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> IMapIterator:
        """Like `imap`, but results come as they are ready."""
        return self._imap(func, iterable, chunksize, ordered=False)

    def close(self) -> None:
        """Take no more work; the workers end once theirs is done."""
        self._closed = True

    def terminate(self) -> None:
        """Take no more work and end the workers at once."""
        self._closed = True
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []

    def join(self) -> None:
        """Wait until the work is done and end the workers.

        Raises:
            ValueError: neither `close` nor `terminate` was called before.
        """
        if not self._closed:
            raise ValueError("the pool is still running: call close() or terminate() first")
        if self._workers:
            if self._pending:
                ray.wait(self._pending, num_returns=len(self._pending))
            self.terminate()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.terminate()

    def _check_running(self) -> None:
        if self._closed:
            raise ValueError("the pool is not running: it was closed or terminated")

    def _start_worker(self) -> Any:
        return ray.remote(_PoolWorker).options(**self._options).remote(*self._initializer)

    def _submit(self, func: Callable[..., Any], calls: list[_Call]) -> Any:
        index = next(self._next_worker)
        if self._max_calls is not None and self._calls_of[index] >= self._max_calls:
            # It ends after the calls that it has; nobody holds a handle any more.
            self._workers[index], self._calls_of[index] = self._start_worker(), 0
        self._calls_of[index] += len(calls)
        ref = self._workers[index].run.remote(func, calls)
        if self._pending:
            _, self._pending = ray.wait(self._pending, num_returns=len(self._pending), timeout=0)
        self._pending.append(ref)
        return ref

    def _imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None, ordered: bool
    ) -> IMapIterator:
        self._check_running()
        items: Iterator[Any] = iter(iterable)

        def submit() -> Any:
            batch: list[_Call] = [((item,), {}) for item in itertools.islice(items, chunksize or 1)]
            return self._submit(func, batch) if batch else None

        return IMapIterator(submit, _CHUNKS_AHEAD * len(self._workers), ordered)


def start_session(processes: int | None, address: str | None = None) -> None:
    """Attach to a running node, or start one that has enough CPUs for a pool.

    Args:
        processes: of the pool; None for as many as there are CPUs.
        address: the node's, if it is to be a certain one.
    """
    if address is None and processes is not None and processes > (os.cpu_count() or 1):
        try:
            ray.init(num_cpus=processes)
        except ValueError:  # a node runs already, and has the CPUs that it has
            ray.init()
    else:
        ray.init(address=address)
