"""Joblib's backend of process pools, with a pool of actors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joblib._parallel_backends import MultiprocessingBackend

import ray_async as ray
from ray_async.util.multiprocessing import Pool

__all__ = ("RayBackend",)


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
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads, **kwargs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of workers: -1 means all CPUs of the cluster, -2 all but one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        if n_jobs is None:
            return 1
        if not ray.is_initialized():
            ray.init()
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return n_jobs if n_jobs > 0 else max(1, cpus + 1 + n_jobs)

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, prefer: Any = None, require: Any = None, **kwargs: Any
    ) -> int:
        """Start the pool; joblib calls this before its first batch."""
        workers = self.effective_n_jobs(n_jobs)
        self._pool: Pool | None = Pool(workers, ray_remote_args=self.ray_remote_args)
        self.parallel = parallel
        return workers

    def terminate(self) -> None:
        """End the pool; joblib calls this after its last batch."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
