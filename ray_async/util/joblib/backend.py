"""Joblib's backend of process pools, with a pool of actors."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from joblib._parallel_backends import MultiprocessingBackend

import ray_async as ray
from ray_async.util.multiprocessing.pool import Pool, start_session

__all__ = ("RayBackend",)


class _Calls:
    """Calls back for the batches of one pool until it is over: a late result would count for the next call."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._over = False

    def guarded(self, callback: Callable[[Any], Any]) -> Callable[[Any], None]:
        """A callback that does nothing once the calls are over."""

        def call_back(result: Any) -> None:
            with self._lock:
                if not self._over:
                    callback(result)

        return call_back

    def end(self) -> None:
        """Call back no more, once a callback that runs has returned."""
        with self._lock:
            self._over = True


class RayBackend(MultiprocessingBackend):  # type: ignore[misc]
    """Runs joblib's batches in actors.

    Args:
        nesting_level: as in joblib.
        inner_max_num_threads: as in joblib.
        ray_remote_args: options of the actors.
        kwargs: joblib's own.
    """

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.ray_remote_args = ray_remote_args
        self._calls = _Calls()
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads, **kwargs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of workers: -1 means all CPUs of the cluster, -2 all but one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        if n_jobs is None:
            return 1
        if not ray.is_initialized():
            start_session(n_jobs if n_jobs > 0 else None)
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return n_jobs if n_jobs > 0 else max(1, cpus + 1 + n_jobs)

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, prefer: Any = None, require: Any = None, **kwargs: Any
    ) -> int:
        """Start the pool; joblib calls this before its first batch."""
        workers = self.effective_n_jobs(n_jobs)
        self._pool: Pool | None = Pool(workers, ray_remote_args=self.ray_remote_args)
        self._calls = _Calls()
        self.parallel = parallel
        return workers

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Start a batch; joblib is called back with its result, unless the batch's call is over by then."""
        return super().submit(func, self._calls.guarded(callback) if callback is not None else None)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop all batches of a call that has failed, also those that joblib has made and not started yet."""
        self._calls.end()
        waiting: queue.Queue[Any] | None = getattr(self.parallel, "_ready_batches", None)
        while waiting is not None and not waiting.empty():
            waiting.get_nowait()
        super().abort_everything(ensure_ready)

    def terminate(self) -> None:
        """End the pool; joblib calls this after its last batch."""
        self._calls.end()
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
